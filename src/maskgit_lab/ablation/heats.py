"""Maps of the distance: over T and choice temperature, and over training and decoding schedules.

Shapes: Y rows, X columns; NaN is a cell that was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from maskgit_lab.ablation.curves import Curve, curve, distance_of
from maskgit_lab.ablation.panels import format_value
from maskgit_lab.ablation.sentences import count
from maskgit_lab.ablation.studies import Point, Study
from maskgit_lab.ablation.styles import in_order, spoken


@dataclass(frozen=True)
class Heat:
    """A map of a distance.

    Args:
        key: for file names and anchors.
        title: over it.
        x_title: of the columns.
        y_title: of the rows.
        x: names of the columns.
        y: names of the rows.
        values_YX: the distances.
        cells: what is written into each cell.
        told: what each cell has to say, a line of text an entry.
        label: FID or FD.
        numbers: the columns and rows as numbers, where the map can be drawn as a surface.
        marks_diagonal: whether equal rows and columns are framed.
    """

    key: str
    title: str
    x_title: str
    y_title: str
    x: Sequence[str]
    y: Sequence[str]
    values_YX: Float[np.ndarray, "Y X"]
    cells: Sequence[Sequence[str]]
    told: Sequence[Sequence[Sequence[str]]]
    label: str
    numbers: tuple[Sequence[float], Sequence[float]] | None = None
    marks_diagonal: bool = False

    @property
    def best(self) -> tuple[int, int]:
        """Row and column of the smallest distance."""
        row, column = np.unravel_index(np.nanargmin(self.values_YX), self.values_YX.shape)
        return int(row), int(column)

    @property
    def colours_YX(self) -> Float[np.ndarray, "Y X"]:
        """The values as they are coloured: by their logarithm where they can have one, so that good cells differ."""
        positive = bool((self.values_YX[np.isfinite(self.values_YX)] > 0).all())
        return np.log10(self.values_YX) if positive else self.values_YX

    @property
    def sentence(self) -> str:
        """Where the best cell is."""
        row, column = self.best
        return f"Best: {', '.join(self.told[row][column])}."


def surface_heats(study: Study) -> list[Heat]:
    """A map over T and choice temperature for each schedule that has several."""
    made = (_surface(study, name, study.surfaces[name]) for name in in_order(study.surfaces))
    return [heat for heat in made if heat is not None]


def decoupled_heat(study: Study) -> Heat | None:
    """Training by decoding schedules, at each cell's best T; None if all models decoded by their own schedule."""
    if not study.decoupled:
        return None
    trained = in_order(str(p.row["schedule"]) for p in study.decoupled)
    decoded = in_order(str(p.row.get("decode_schedule", p.row["schedule"])) for p in study.decoupled)
    found = [[_cell_curve(study, one, other) for other in decoded] for one in trained]
    if not any(cell is not None for row in found for cell in row):
        return None
    return Heat(
        "decode-schedule",
        "Training schedule by decoding schedule, at each cell's best T",
        "decoding schedule",
        "training schedule",
        [spoken(name) for name in decoded],
        [spoken(name) for name in trained],
        np.array([[np.nan if c is None else c.mean_T[c.best] for c in row] for row in found]),
        [["" if c is None else f"{format_value(c.mean_T[c.best])}\nT {c.best_steps}" for c in row] for row in found],
        [
            [_told_pair(one, other, cell) for other, cell in zip(decoded, row, strict=True)]
            for one, row in zip(trained, found, strict=True)
        ],
        study.distance_label,
        marks_diagonal=True,
    )


def _surface(study: Study, schedule: str, points: Sequence[Point]) -> Heat | None:
    temperatures = sorted({_temperature(p) for p in points})
    rows = [curve([p for p in points if _temperature(p) == tau], distance_of(study)) for tau in temperatures]
    known = [(tau, row) for tau, row in zip(temperatures, rows, strict=True) if row is not None]
    if len(known) < 2:
        return None
    steps = sorted({t for _, row in known for t in row.steps})
    values = np.array([[_at(row, t) for t in steps] for _, row in known])
    told = [[_told_cell(schedule, tau, row, t) for t in steps] for tau, row in known]
    return Heat(
        f"surface-{schedule}",
        f"{study.distance_label} over T and choice temperature, {spoken(schedule)} schedule",
        "decoding steps T",
        "choice temperature τ",
        [str(t) for t in steps],
        [f"{tau:g}" for tau, _ in known],
        values,
        [["" if np.isnan(v) else format_value(v) for v in line] for line in values.tolist()],
        told,
        study.distance_label,
        numbers=([float(np.log2(t)) for t in steps], [tau for tau, _ in known]),
    )


def _cell_curve(study: Study, trained: str, decoded: str) -> Curve | None:
    here = [
        p
        for p in study.decoupled
        if p.row["schedule"] == trained and p.row.get("decode_schedule", p.row["schedule"]) == decoded
    ]
    return curve(here, distance_of(study)) if here else None


def _temperature(point: Point) -> float:
    return float(point.row.get("choice_temperature", 0.0))


def _at(row: Curve, steps: int) -> float:
    return float(row.mean_T[row.steps.index(steps)]) if steps in row.steps else float("nan")


def _told_cell(schedule: str, tau: float, row: Curve, steps: int) -> list[str]:
    said = [f"{spoken(schedule)}, T = {steps}, τ = {tau:g}"]
    if steps not in row.steps:
        return [*said, "not measured"]
    n = int(row.counts_T[row.steps.index(steps)])
    return [*said, f"{row.metric.label} {format_value(_at(row, steps))}", count(n, "seed")]


def _told_pair(trained: str, decoded: str, found: Curve | None) -> list[str]:
    said = [f"trained {spoken(trained)}, decoded {spoken(decoded)}"]
    if found is None:
        return [*said, "not measured"]
    n = int(found.counts_T[found.best])
    value = f"{found.metric.label} {format_value(float(found.mean_T[found.best]))} at T = {found.best_steps}"
    return [*said, value, count(n, "seed")]
