"""MaskGIT minus its autoregressive baseline, on the seeds that both have: each pair shares tokenizer and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.baselines import level_of
from maskgit_lab.ablation.curves import Curve, curve
from maskgit_lab.ablation.ranking import Interval, levels_of
from maskgit_lab.ablation.resampling import Levels, percentile_interval, resampled
from maskgit_lab.ablation.sharing import compare
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import Metric

FEWEST = 3  # of what is drawn, for an interval


@dataclass(frozen=True)
class Difference:
    """One schedule of a study minus a baseline."""

    study: Study
    schedule: str
    baseline: Baseline
    steps: int  # T of the lowest mean distance over the seeds that both have
    levels: Levels  # the seeds, and what else the intervals hold
    values: Mapping[str, tuple[float, Interval]]  # by metric: the mean difference, and its 95 % interval

    @property
    def has_intervals(self) -> bool:
        return self.levels.are_several and self.levels.n_drawn >= FEWEST


def difference(
    study: Study, schedule: str, baseline: Baseline, metrics: Sequence[Metric], *, bootstrap: int, seed: int
) -> Difference | None:
    """The difference of each metric, at the best T by the distance, which each resample finds anew.

    Args:
        study: of MaskGIT's models.
        schedule: whose curve is taken.
        baseline: one that is comparable with the study.
        metrics: what is compared; those that were not measured of both are left out.
        bootstrap: resamples, in which models are drawn for both at once.
        seed: of the resamples.

    Returns:
        None where the two share no seed, or the distance was not measured of both.
    """
    points = [point for point in study.main if point.schedule == schedule]
    both = (curve(points, study.distance) if points else None, level_of(baseline, study.distance))
    if both[0] is None or both[1] is None:
        return None
    found = compare([both[0], both[1]])
    if not found.seeds:
        return None
    distance, _ = found.compared
    made = Difference(study, schedule, baseline, distance.best_steps, levels_of(found.compared, found.seeds), {})
    values: dict[str, tuple[float, Interval]] = {}
    for metric in metrics:
        ours, theirs = curve(points, metric), level_of(baseline, metric)
        if ours is not None and theirs is not None:
            kept = [one.only(set(found.seeds)) for one in (ours, theirs)]
            generator = np.random.default_rng(seed)
            several = _differences(distance, kept[0], kept[1], bootstrap if made.has_intervals else 0, generator)
            values |= {} if several is None else {metric.key: _summary(several, made.levels)}
    return Difference(study, schedule, baseline, made.steps, made.levels, values)


def _differences(
    distance: Curve, ours: Curve, theirs: Curve, bootstrap: int, generator: np.random.Generator
) -> np.ndarray | None:
    """As it was measured, and of each resample; None where it was not measured at the best T with all seeds."""
    known = [i for i, x in enumerate(distance.x) if x in ours.x]
    if not (set(ours.seeds) == set(theirs.seeds) == set(distance.seeds) and theirs.x and distance.best in known):
        return None
    if bootstrap:
        distance_BX, ours_BX, theirs_BX = resampled([distance, ours, theirs], bootstrap, generator)
    else:
        distance_BX, ours_BX, theirs_BX = (one.mean_X[None] for one in (distance, ours, theirs))
    at_B = distance_BX[:, known].argmin(axis=1)
    columns = np.array([ours.x.index(distance.x[i]) for i in known])
    return ours_BX[np.arange(len(ours_BX)), columns[at_B]] - theirs_BX[:, 0]


def _summary(several: np.ndarray, levels: Levels) -> tuple[float, Interval]:
    interval = percentile_interval(several[1:], levels.n_drawn) if len(several) > 1 else None
    return float(several[0]), interval
