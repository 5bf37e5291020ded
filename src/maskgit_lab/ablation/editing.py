"""What edits show: a row for each schedule, baseline and floor, the gain over the baselines, and whether the order of
the schedules is that of plain samples of the same models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maskgit_lab.ablation.curves import Curve, by_model, curve, curves
from maskgit_lab.ablation.edits import EditStudy, by_decoding
from maskgit_lab.ablation.floors import ALIKE, floors
from maskgit_lab.ablation.paired import FEWEST as FEWEST_SEEDS
from maskgit_lab.ablation.points import Point
from maskgit_lab.ablation.published import in_order, table3
from maskgit_lab.ablation.ranking import FEWEST, Agreement, Interval, agreement_of, at_best, levels_of
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.resampling import Levels, percentile_interval
from maskgit_lab.ablation.sharing import compare, comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import TABLE, Metric

# Kinds of rows, beside the sources of floors.
SCHEDULE, RANDOM_ORDER, ONE_STEP = "schedule", "random order", "one step"
AFTER_THE_DISTANCE = (
    *("inception_score", "kid", "precision", "recall", "psnr", "lpips", "feature_distance"),
    *("diversity", "feature_diversity", "sample_accuracy"),
)


@dataclass(frozen=True)
class EditEntry:
    """A row: what edits reach, or what stands in for them."""

    kind: str  # SCHEDULE, RANDOM_ORDER, ONE_STEP, or the source of a floor
    name: str  # the schedule, or what the images are
    values: Mapping[str, Sequence[float]]  # by metric: one a model, its mean over draws
    steps: int | None = None  # T; None of floors
    is_at_edge: bool = False  # whether T is the first or the last that was compared
    seeds: tuple[Seeds, ...] = ()  # of the models; none of floors
    n: int | None = None  # images of a floor


@dataclass(frozen=True)
class Gain:
    """The distance of a schedule at its best T minus that of a baseline at its own, on the seeds that both have."""

    schedule: str
    steps: int  # the best T of the schedule
    kind: str  # of the baseline: RANDOM_ORDER or ONE_STEP
    value: float  # below 0 where the schedule is better
    interval: Interval  # None with too few seeds
    levels: Levels  # the seeds, and what else the interval holds


@dataclass(frozen=True)
class Orders:
    """The schedules of the paper by the distance of edits and of plain samples of models that were trained alike."""

    schedules: tuple[str, ...]
    agreement: Agreement
    levels: Levels  # what the interval holds


def metrics_of_edits(study: EditStudy) -> list[Metric]:
    """The distance, and the others that any point, baseline or floor of the study has."""
    metrics = [TABLE[key].on(study.features) for key in AFTER_THE_DISTANCE]
    points, known = [*study.points, *study.in_random_order], floors(study)
    measured = [
        one
        for one in metrics
        if any(point.value(one.key) is not None for point in points)
        or any(floor.value(one.key) is not None for floor in known)
    ]
    return [study.distance, *measured]


def entries(study: EditStudy) -> list[EditEntry]:
    """Each schedule at its best T by the distance, then in random order at its best T, then in one step, and last the
    floors; on the seeds that the schedules share.
    """
    metrics = metrics_of_edits(study)
    return [*_at_best(study, metrics), *_at_random(study, metrics), *_in_one_step(study, metrics), *_floors(study)]


def best_schedule(study: EditStudy) -> Curve | None:
    """The curve of the distance that has the lowest mean at its best T; None where it was not measured."""
    return min(comparison(study).compared, key=lambda one: one.best_value, default=None)


def gains(study: EditStudy, *, bootstrap: int, seed: int) -> list[Gain]:
    """Of each schedule over filling the hole in random order, where it was, and of the best one over one step.

    Args:
        study: of the edits.
        bootstrap: resamples, in which seeds are drawn for both at once and the best T of each is found anew.
        seed: of the resamples.
    """
    ours = {one.schedule: one for one in curves(study.main, study.distance)}
    best = best_schedule(study)
    in_one = [p for p in study.main if best is not None and p.schedule == best.schedule and p.steps == 1]
    several = best is not None and len(ours[best.schedule].x) > 1
    pairs = [(RANDOM_ORDER, one) for one in curves(study.in_random_order, study.distance)]
    pairs += [(ONE_STEP, one) for one in curves(in_one if several else [], study.distance)]
    known = [(kind, theirs) for kind, theirs in pairs if theirs.schedule in ours]
    found = (_gain(ours[theirs.schedule], kind, theirs, bootstrap, seed) for kind, theirs in known)
    return [gain for gain in found if gain is not None]


def plain_study(study: EditStudy, every: Sequence[Study]) -> Study | None:
    """The study of plain samples of models that were trained alike, measured with the same features and reference; the
    one with the same settings of the decoder and as many images before others.
    """
    alike = [one for one in every if _is_alike(one, study)]
    return min(
        alike,
        key=lambda one: (one.code.age, one.main_setting != study.main_setting, one.n_samples != study.n_samples),
        default=None,
    )


def plain_curves(study: EditStudy, plain: Study) -> list[Curve]:
    """The distance of plain samples over T, one a schedule; of the decoding, where edits differ in that alone."""
    if not study.trained:
        return curves(plain.main, plain.distance)
    mine = [point for point in plain.points if point.schedule == study.trained and point.setting == plain.main_setting]
    return curves([by_decoding(point) for point in mine], plain.distance)


def orders(study: EditStudy, plain: Study, *, bootstrap: int, seed: int) -> Orders | None:
    """The order of the schedules by edits beside that by samples.

    Returns:
        None with fewer than three schedules of the paper in both.
    """
    both = [curves(study.main, study.distance), plain_curves(study, plain)]
    names = {one.schedule for one in both[0]} & {one.schedule for one in both[1]} & {*table3()}
    if len(names) < FEWEST:
        return None
    kept = [[one for one in several if one.schedule in names] for several in both]
    shared = compare([*kept[0], *kept[1]])
    levels = levels_of(shared.compared, shared.seeds)
    n_resamples = bootstrap if levels.are_several else 0
    values_BS, _ = at_best(shared.compared, n_resamples, np.random.default_rng(seed))
    agreement = agreement_of(values_BS[:, : len(names)], values_BS[:, len(names) :], levels)
    return Orders(tuple(one.schedule for one in kept[0]), agreement, levels)


def _at_best(study: EditStudy, metrics: Sequence[Metric]) -> Iterator[EditEntry]:
    found = comparison(study).by_schedule
    for name in in_order(point.schedule for point in study.main):
        points = [point for point in study.main if point.schedule == name]
        if (of := found.get(name)) is not None:
            yield _entry(SCHEDULE, points, of, metrics)
        else:  # no distance, and so no best T
            for steps in sorted({point.steps for point in points}):
                at = [point for point in points if point.steps == steps]
                yield EditEntry(SCHEDULE, name, _values(at, metrics), steps, seeds=_seeds(at))


def _at_random(study: EditStudy, metrics: Sequence[Metric]) -> Iterator[EditEntry]:
    shared = comparison(study).seeds
    for name in in_order(point.schedule for point in study.in_random_order):
        every = [point for point in study.in_random_order if point.schedule == name]
        points = [point for point in every if point.seeds in shared] or every
        if (of := curve(points, study.distance)) is not None:
            yield _entry(RANDOM_ORDER, points, of.whole, metrics)


def _in_one_step(study: EditStudy, metrics: Sequence[Metric]) -> Iterator[EditEntry]:
    """Of the best schedule and of those that were filled in random order; the others are the first points of curves.

    Of one step the schedule of the decoding makes no difference, so that there is one row where it alone differs.
    """
    shared, best = comparison(study).seeds, best_schedule(study)
    several = {point.schedule for point in study.main if point.steps > 1}
    named = {point.schedule for point in study.in_random_order} | ({best.schedule} if best else set())
    ones = [point for point in study.main if point.steps == 1 and point.schedule in several & named]
    for name in in_order(point.schedule for point in ones)[: 1 if study.trained else None]:
        every = [point for point in ones if point.schedule == name]
        points = [point for point in every if point.seeds in shared] or every
        yield EditEntry(ONE_STEP, study.trained or name, _values(points, metrics), 1, seeds=_seeds(points))


def _entry(kind: str, points: Sequence[Point], of: Curve, metrics: Sequence[Metric]) -> EditEntry:
    """Points of one schedule at the best T of a curve, on its seeds."""
    at = [point for point in points if point.steps == of.best_steps and point.seeds in of.seeds]
    return EditEntry(kind, of.schedule, _values(at, metrics), of.best_steps, of.is_at_edge, _seeds(at))


def _floors(study: EditStudy) -> list[EditEntry]:
    """What no transformer made: pasted reconstructions, and held-out images."""
    keys = [metric.key for metric in metrics_of_edits(study)]
    return [
        EditEntry(
            one.source, one.name, {key: [value] for key in keys if (value := one.value(key)) is not None}, n=one.n
        )
        for one in reversed(floors(study))
    ]


def _values(points: Sequence[Point], metrics: Sequence[Metric]) -> dict[str, Sequence[float]]:
    return {metric.key: several for metric in metrics if (several := by_model(points, metric.key))}


def _seeds(points: Sequence[Point]) -> tuple[Seeds, ...]:
    return tuple(sorted({point.seeds for point in points}))


def _gain(best: Curve, kind: str, theirs: Curve, bootstrap: int, seed: int) -> Gain | None:
    found = compare([best, theirs])
    if not found.seeds:
        return None
    levels = levels_of(found.compared, found.seeds)
    has_interval = levels.are_several and levels.n_drawn >= FEWEST_SEEDS
    values_BS, steps_BS = at_best(found.compared, bootstrap if has_interval else 0, np.random.default_rng(seed))
    several = values_BS[:, 0] - values_BS[:, 1]
    interval = percentile_interval(several[1:], levels.n_drawn) if len(several) > 1 else None
    return Gain(best.schedule, int(steps_BS[0, 0]), kind, float(several[0]), interval, levels)


def _is_alike(one: Study, study: EditStudy) -> bool:
    """Whether samples and edits are of models that were trained alike, and measured with the same features."""
    return (
        one.points[0].training == study.points[0].training
        and one.debug == study.debug
        and all(one.settings.get(key) == study.settings.get(key) for key in ALIKE)
    )
