"""The choice temperature: the best T at each value of it, and the ablation with each schedule at its own.

The best value of a knob is the one with the lowest distance over T: the minimum over T of the mean over repeats; of
equals the smallest value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from maskgit_lab.ablation.curves import curve
from maskgit_lab.ablation.origins import DEBUG, Origins
from maskgit_lab.ablation.points import Point, Setting
from maskgit_lab.ablation.published import in_order
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.ablation.sharing import compare
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import Metric

TEMPERATURE = "choice_temperature"
ALIKE = ("data", "features", "features_weights", "reference", DEBUG)  # keys in which choices agree with a study
FEWEST = 2  # schedules that have a temperature of their own, for a comparison


@dataclass(frozen=True)
class Spot:
    """The sweet spot at one value of a knob."""

    value: float  # of the knob
    steps: int  # the best T
    distance: float  # there, the mean over repeats
    is_at_edge: bool  # whether it is the first or the last T that was measured, so that a better one may lie beyond


@dataclass(frozen=True)
class OwnTemperatures:
    """The ablation with each schedule at the choice temperature that is best for it."""

    study: Study  # its points, all at one setting, since the temperature is left out of their rows
    temperatures: Mapping[str, float]  # by schedule
    # Of the models whose samples each was chosen on, where these are no reported ones.
    seeds: Mapping[str, tuple[Seeds, ...]]
    absent: Sequence[str]  # schedules that were measured at one temperature alone
    unmeasured: Mapping[str, float]  # schedules that have no reported point at the temperature that was chosen for them


def spots(points: Sequence[Point], metric: Metric, knob: str = TEMPERATURE) -> list[Spot]:
    """For each value of a knob, ascending, the best T of points of one schedule, on the seeds that the values share."""
    values = sorted({value for point in points if isinstance(value := point.knob(knob), float)})
    drawn = {value: curve([point for point in points if point.knob(knob) == value], metric) for value in values}
    known = {value: one for value, one in drawn.items() if one is not None}
    return [
        Spot(value, one.best_steps, one.best_value, one.is_at_edge)
        for value, one in zip(known, compare(list(known.values())).compared, strict=True)
    ]


def best_spot(several: Sequence[Spot]) -> Spot:
    """The one with the lowest distance; of equals the one with the smallest value of the knob."""
    return min(several, key=lambda spot: (spot.distance, spot.value))


def with_choices(every: Sequence[Study], runs: Sequence[Run], origins: Origins) -> list[Study]:
    """Studies with the points by which temperatures were chosen: of models that were trained alike, measured alike."""
    found = [
        Point(origins.complete(run, row), origins.run_of(run, row).training, origins.seeds_of(run, row), ((run, row),))
        for run in runs
        for row in run.choices
    ]
    return [replace(study, choices=[point for point in found if _is_for(point, study)]) for study in every]


def own_temperatures(study: Study) -> OwnTemperatures | None:
    """Each schedule at its own temperature, chosen on the samples drawn for that, or else on the reported ones.

    Returns:
        None unless at least two schedules were measured at several temperatures.
    """
    reported, drawn = _comparable(study, study.coupled), _comparable(study, study.choices)
    chosen: dict[str, float] = {}
    seeds: dict[str, tuple[Seeds, ...]] = {}
    for name in in_order(point.schedule for point in reported):
        choices = [point for point in drawn if point.schedule == name]
        found = spots(choices or [point for point in reported if point.schedule == name], study.distance)
        if len(found) > 1:
            chosen[name] = best_spot(found).value
            seeds |= {name: tuple(sorted({point.seeds for point in choices}))} if choices else {}
    kept = [_at_one_setting(point) for point in reported if point.knob(TEMPERATURE) == chosen.get(point.schedule)]
    measured = {point.schedule for point in kept}
    if len(measured) < FEWEST:
        return None
    return OwnTemperatures(
        study=replace(study, points=kept, choices=()),
        temperatures={name: value for name, value in chosen.items() if name in measured},
        seeds={name: several for name, several in seeds.items() if name in measured},
        absent=[name for name in in_order(point.schedule for point in study.main) if name not in chosen],
        unmeasured={name: value for name, value in chosen.items() if name not in measured},
    )


def choices_over(study: Study) -> dict[str, list[Point]]:
    """By schedule, the points by which its temperature was chosen."""
    drawn = _comparable(study, study.choices)
    names = in_order(point.schedule for point in drawn)
    return {name: [point for point in drawn if point.schedule == name] for name in names}


def _is_for(point: Point, study: Study) -> bool:
    first = study.points[0]
    return point.training == first.training and all(point.row.get(key) == first.row.get(key) for key in ALIKE)


def _comparable(study: Study, points: Sequence[Point]) -> list[Point]:
    """Decoded by the schedule of the training, at the main setting but for the temperature."""
    others = _without(study.main_setting)
    return [p for p in points if p.decode_schedule == p.schedule and _without(p.setting) == others]


def _without(setting: Setting) -> Setting:
    return tuple((key, value) for key, value in setting if key != TEMPERATURE)


def _at_one_setting(point: Point) -> Point:
    return replace(point, row={key: value for key, value in point.row.items() if key != TEMPERATURE})
