"""Maps of the distance: over T and a knob, over training and decoding schedules, and over knobs that are words.

Shapes: Y rows, X columns; NaN is a cell that was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Float

from maskgit_lab.ablation.curves import Curve, curve
from maskgit_lab.ablation.points import DECODE_SCHEDULE, Point
from maskgit_lab.ablation.published import in_order
from maskgit_lab.ablation.sharing import Comparison, compare
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.words import NONE, count, format_best, format_knob, format_seeds, format_value, label

FEWEST = 3  # rows and columns of a surface


@dataclass(frozen=True)
class Cell:
    """A cell of a map."""

    value: float  # the distance; NaN where it was not measured
    text: str  # what is written into it
    hover: Sequence[str]  # what is shown of it under the pointer, a line of text an entry


@dataclass(frozen=True)
class Map:
    """A heatmap of a distance."""

    key: str  # for file names and anchors
    title: str  # over it
    x_title: str  # of the columns
    y_title: str  # of the rows
    x: Sequence[str]  # names of the columns
    y: Sequence[str]  # names of the rows
    cells: Sequence[Sequence[Cell]]  # one list a row
    value_title: str  # FID or FD
    # The columns and rows as numbers; None where they are words
    numbers: tuple[Sequence[float], Sequence[float]] | None = None
    about_seeds: str = ""  # what is compared, where the cells have different seeds

    @property
    def values_YX(self) -> Float[np.ndarray, "Y X"]:
        """The distances."""
        return np.array([[cell.value for cell in row] for row in self.cells])

    @property
    def best(self) -> tuple[int, int]:
        """Row and column of the smallest distance."""
        row, column = np.unravel_index(np.nanargmin(self.values_YX), self.values_YX.shape)
        return int(row), int(column)

    @property
    def colours_YX(self) -> Float[np.ndarray, "Y X"]:
        """The values as they are coloured: by their logarithm where they can have one, so that good cells differ."""
        values = self.values_YX
        return np.log10(values) if (values[np.isfinite(values)] > 0).all() else values

    @property
    def is_surface(self) -> bool:
        """Whether it can be drawn as a surface: over numbers, without a hole, and with enough points for a shape."""
        is_whole = bool(np.isfinite(self.values_YX).all())
        return self.numbers is not None and is_whole and min(self.values_YX.shape) >= FEWEST

    @property
    def note(self) -> str:
        """Where the best cell is, and how many were not measured."""
        row, column = self.best
        n_holes = int((~np.isfinite(self.values_YX)).sum())
        holes = f" {n_holes} of {self.values_YX.size} cells were not measured ({NONE})." if n_holes else ""
        return f"Best: {', '.join(self.cells[row][column].hover)}.{self.about_seeds}{holes}"


def all_maps(study: Study) -> list[Map]:
    """Every map of the distance that the study has points for.

    Over T and each knob that is a number, one map a schedule; then training by decoding schedules, and schedules by the
    values of each knob that is a word, such as the decoder.
    """
    by_knob = {knob: study.along(knob) for knob in (*study.axes, *study.words)}
    found = [_over_steps(study, knob, by_knob[knob][name]) for knob in study.axes for name in in_order(by_knob[knob])]
    found.append(_at_best_steps(study, DECODE_SCHEDULE, study.decoupled))
    found += [_at_best_steps(study, knob, list(chain(*by_knob[knob].values()))) for knob in study.words]
    return [one for one in found if one is not None]


def _over_steps(study: Study, knob: str, points: Sequence[Point]) -> Map | None:
    """For one schedule; None unless the distance is known for several values of the knob."""
    schedule = points[0].schedule
    values = sorted({x for point in points if isinstance(x := point.knob(knob), float)})
    curves = [curve([point for point in points if point.knob(knob) == x], study.distance) for x in values]
    known = [(x, row) for x, row in zip(values, curves, strict=True) if row is not None]
    if len(known) < 2:
        return None
    steps = sorted({t for _, row in known for t in row.x})
    return Map(
        key=f"surface-{knob}-{schedule}",
        title=f"{study.distance.label} over T and {label(knob)}, {label(schedule)} schedule",
        x_title="decoding steps T",
        y_title=label(knob),
        x=[f"{t:g}" for t in steps],
        y=[f"{x:g}" for x, _ in known],
        cells=[
            [_cell(f"{label(schedule)}, T = {t:g}, {label(knob)} = {x:g}", row, t) for t in steps] for x, row in known
        ],
        value_title=study.distance.label,
        numbers=(np.log2(steps).tolist(), [x for x, _ in known]),
    )


def _at_best_steps(study: Study, key: str, points: Sequence[Point]) -> Map | None:
    """Training schedules by the values of a knob that is a word, at each cell's best T; None without any distance."""
    name = "decoding schedule" if key == DECODE_SCHEDULE else label(key)
    rows = in_order(point.schedule for point in points)
    columns = in_order(format_knob(point.knob(key)) for point in points)
    places = [(row, column) for row in rows for column in columns]
    of_cell = {at: [p for p in points if (p.schedule, format_knob(p.knob(key))) == at] for at in places}
    found = {at: one for at, here in of_cell.items() if (one := curve(here, study.distance)) is not None}
    shared = compare(list(found.values()))
    kept = dict(zip(found, shared.compared, strict=True))
    cells = [
        [_best_cell(f"trained {label(row)}, {name} {label(column)}", kept.get((row, column))) for column in columns]
        for row in rows
    ]
    if not found:
        return None
    return Map(
        key=key,
        title=f"Training schedule by {name}, at each cell's best T",
        x_title=name,
        y_title="training schedule",
        x=[label(column) for column in columns],
        y=[label(row) for row in rows],
        cells=cells,
        value_title=study.distance.label,
        about_seeds=_about_seeds(shared),
    )


def _about_seeds(shared: Comparison) -> str:
    if not shared.seeds:
        return " The cells share no seed." if len(shared.measured) > 1 else ""
    return f" All cells are of {format_seeds(shared.seeds)}, which they share." if shared.is_partial else ""


def _best_cell(where: str, row: Curve | None) -> Cell:
    if row is None:
        return _cell(where, None, 0)
    cell = _cell(f"{where}, T = {row.best_steps}", row, row.best_steps)
    return Cell(cell.value, f"{cell.text}\nT {format_best(row)}", cell.hover)


def _cell(where: str, row: Curve | None, steps: float) -> Cell:
    if row is None or steps not in row.x:
        return Cell(float("nan"), "", [where, "not measured"])
    value, seeds = row.at(steps), row.seeds_at(row.x.index(steps))
    return Cell(
        value, format_value(value), [where, f"{row.metric.label} {format_value(value)}", count(len(seeds), "seed")]
    )
