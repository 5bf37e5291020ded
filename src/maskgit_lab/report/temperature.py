"""The choice temperature in the report: the best T over it, and the ablation with each schedule at its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from maskgit_lab.ablation.curves import Curve, curves
from maskgit_lab.ablation.points import Draw, Point
from maskgit_lab.ablation.published import in_order
from maskgit_lab.ablation.ranking import Ranking, rank
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.temperature import (
    TEMPERATURE,
    OwnTemperatures,
    Spot,
    choices_over,
    own_temperatures,
    spots,
)
from maskgit_lab.metrics.registry import Metric
from maskgit_lab.report.agreement import order_sentences
from maskgit_lab.report.panels import Line, Panel
from maskgit_lab.report.styles import Style, styles
from maskgit_lab.report.tables import Table, compared, papers_form
from maskgit_lab.report.words import NONE, format_knob, format_seeds, format_value, label

BEST_STEPS = Metric("best_steps", "best T", title="Best T")
EDGE = "at the edge of the T that were measured"
RING = f"A ring: the best T is {EDGE}, so a better one may lie beyond."
SHARED, OWN = "one temperature", "own temperature"  # the two readings


@dataclass(frozen=True)
class Reading:
    """The ablation with each schedule at its own temperature, as the page shows it."""

    shared: str  # on the table before, with one temperature for all
    notes: Sequence[str]  # what was chosen, and by what
    table: Table  # in the form of Table 3, with the temperatures
    ranking: Ranking | None  # of the schedules; None if there are too few
    order: Sequence[str]  # how the order of the schedules agrees with the paper's


class StepsPanel(Panel):
    """The best T over a knob: numbers of steps on a logarithmic axis."""

    @property
    def x_title(self) -> str:
        return label(self.over)

    @property
    def y_room(self) -> None:
        return None

    @property
    def is_log_y(self) -> bool:
        return True

    @property
    def y_ticks(self) -> list[float]:
        low, high = self.y_range
        powers = [float(2**k) for k in range(20) if low <= 2**k <= high]
        return powers if len(powers) > 1 else sorted({low, high})


def second_reading(study: Study, *, bootstrap: int, seed: int) -> Reading | None:
    """Each schedule at its own temperature; None unless several schedules were measured at several temperatures.

    Args:
        study: what was measured.
        bootstrap: resamples of the intervals.
        seed: of the resamples.
    """
    own = own_temperatures(study)
    if own is None:
        return None
    ranking = rank(curves(own.study.main, study.distance), bootstrap=bootstrap, seed=seed)
    shared = f"All schedules at one choice temperature, {format_knob(dict(study.main_setting).get(TEMPERATURE))}."
    return Reading(shared, _notes(own), _table(own), ranking, order_sentences(own.study, ranking))


def readings(study: Study) -> Iterator[Mapping[str, Any]]:
    """The rows of the table, once with one temperature for all schedules and then with each at its own."""
    shared = dict(study.main_setting).get(TEMPERATURE)
    yield from ({"reading": SHARED, TEMPERATURE: shared, **row} for row in compared(study))
    if own := own_temperatures(study):
        for row in compared(own.study):
            yield {"reading": OWN, TEMPERATURE: own.temperatures.get(row["schedule"]), **row}


def choice_panels(study: Study) -> list[Panel]:
    """Best T, and the distance there, over the temperature, of the samples by which temperatures were chosen."""
    found = _spots(study, choices_over(study), TEMPERATURE)
    if not found:
        return []
    n = min(int(point.row["n_samples"]) for points in choices_over(study).values() for point in points)
    note = f"{n:,} samples a point, drawn to choose the temperature. {RING}"
    steps = _panel(study, TEMPERATURE, BEST_STEPS, found, note)
    distance = _panel(study, TEMPERATURE, study.distance, found, f"{study.distance.label} at the best T. {RING}")
    return [replace(panel, key=f"choice-{panel.key}") for panel in (steps, distance)]


def best_steps_panels(study: Study, knob: str) -> list[Panel]:
    """Best T over a knob, of the reported points; none where the distance was not measured at several values."""
    found = _spots(study, study.along(knob), knob)
    return [_panel(study, knob, BEST_STEPS, found, f"By {study.distance.label}. {RING}")] if found else []


def spots_table(study: Study) -> Iterator[Mapping[str, Any]]:
    """The best T of each schedule at each temperature, as plain numbers."""
    for samples, points in (("reported", study.along(TEMPERATURE)), ("choice", choices_over(study))):
        for name, several in _spots(study, points, TEMPERATURE).items():
            for spot in several:
                where = {"samples": samples, "schedule": name, "temperature": spot.value}
                yield where | {"best_steps": spot.steps, "at_edge": spot.is_at_edge, "distance": spot.distance}


def _spots(study: Study, points: Mapping[str, Sequence[Point]], knob: str) -> dict[str, list[Spot]]:
    found = {name: spots(points[name], study.distance, knob) for name in in_order(points)}
    return {name: several for name, several in found.items() if len(several) > 1}


def _panel(study: Study, knob: str, metric: Metric, found: Mapping[str, Sequence[Spot]], note: str) -> Panel:
    looks = styles(point.schedule for point in (*study.points, *study.choices))
    lines = [_line(study, knob, metric, name, several, looks[name]) for name, several in found.items()]
    xs = [spot.value for several in found.values() for spot in several]
    kind = StepsPanel if metric is BEST_STEPS else Panel
    title = f"{metric.label[:1].upper()}{metric.label[1:]} over {label(knob)}"
    return kind(f"{metric.key}-over-{knob}", title, note, knob, metric, lines, (), (min(xs), max(xs)))


def _line(study: Study, knob: str, metric: Metric, name: str, several: Sequence[Spot], style: Style) -> Line:
    values = [float(spot.steps) if metric is BEST_STEPS else spot.distance for spot in several]
    drawn = Curve(name, metric, tuple(spot.value for spot in several), (Seeds(0),), (Draw(0),), np.array([[values]]))
    hover = [
        [
            f"{label(name)}, {label(knob)} = {spot.value:g}",
            f"best T = {spot.steps}{f', {EDGE}' if spot.is_at_edge else ''}",
            f"{study.distance.label} {format_value(spot.distance)}",
        ]
        for spot in several
    ]
    return Line(drawn, style, hover, None, tuple(i for i, spot in enumerate(several) if spot.is_at_edge))


def _table(own: OwnTemperatures) -> Table:
    """The form of Table 3, with the temperature before the best T."""
    table, known = papers_form(own.study), {label(name): value for name, value in own.temperatures.items()}
    at = table.groups[0][1]  # after the schedule and its shape
    rows = [[*row[:at], format_knob(known[row[0]]) if row[0] in known else NONE, *row[at:]] for row in table.rows]
    bold = frozenset((row, column + (column >= at)) for row, column in table.bold)
    first, (here, n), *others = table.groups
    head = [*table.head[:at], "temp.", *table.head[at:]]
    return replace(table, head=head, rows=rows, bold=bold, groups=(first, (here, n + 1), *others))


def _notes(own: OwnTemperatures) -> list[str]:
    listed = ", ".join(f"{label(name)} {value:g}" for name, value in own.temperatures.items())
    notes = [
        "One temperature for all schedules favours the one that it was chosen on. Here each has its own: the "
        f"temperature with the lowest {own.study.distance.label} over T, mean over seeds: {listed}."
    ]
    others = [name for name in own.temperatures if name in own.seeds]
    if others:
        seeds = sorted({seed for name in others for seed in own.seeds[name]})
        notes.append(
            f"{_named(others, own)} chosen on samples of {format_seeds(seeds)} that are drawn for that and are in no "
            "table or curve."
        )
    if same := [name for name in own.temperatures if name not in own.seeds]:
        notes.append(
            f"{_named(same, own)} chosen on the very samples that are compared, which makes the distances too low."
        )
    if own.absent:
        notes.append(f"Left out, since measured at one temperature: {', '.join(map(label, own.absent))}.")
    if own.unmeasured:
        listed = ", ".join(f"{label(name)} at {value:g}" for name, value in own.unmeasured.items())
        notes.append(f"Left out, since no point was measured there: {listed} (`sweeps=best_temperature` measures it).")
    return notes


def _named(names: Sequence[str], own: OwnTemperatures) -> str:
    """What was chosen in some way, as the start of a sentence."""
    if len(names) == len(own.temperatures):
        return "They were"
    return f"Those of {', '.join(map(label, names))} were"
