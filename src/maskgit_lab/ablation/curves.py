"""Curves: a metric of one schedule by model and T (or a knob), with its mean, its band and its sweet spot.

Draws of samples are nested in models: they are averaged within each, and the models are the repeats that are counted.

Shapes: R repeats (models of different seeds), D draws of samples, X values of T or of a knob; NaN is what was not
measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from maskgit_lab.ablation.points import STEPS, Draw, Point
from maskgit_lab.ablation.published import in_order
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.rectangles import largest
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.registry import Metric

Line = Float[np.ndarray, " X"]


@dataclass(frozen=True)
class Curve:
    """One metric of one schedule, or of a baseline, which has it at every T."""

    schedule: str  # its name, or the baseline's
    metric: Metric  # what the values are
    x: tuple[float, ...]  # T or the values of a knob, ascending
    seeds: tuple[Seeds, ...]  # of the models
    draws: tuple[Draw, ...]  # of samples, of which each model may have others
    values_RDX: Float[np.ndarray, "R D X"]  # of each draw

    @cached_property
    def values_RX(self) -> Float[np.ndarray, "R X"]:
        """Of each model, the mean over its draws."""
        known_RDX = np.isfinite(self.values_RDX)
        total_RX, n_RX = np.where(known_RDX, self.values_RDX, 0.0).sum(axis=1), known_RDX.sum(axis=1)
        return np.divide(total_RX, n_RX, out=np.full(total_RX.shape, np.nan), where=n_RX > 0)

    @property
    def draws_each(self) -> tuple[int, int]:
        """The fewest and the most draws of any value."""
        n_RX = np.isfinite(self.values_RDX).sum(axis=1)
        return int(n_RX[n_RX > 0].min()), int(n_RX.max())

    @property
    def counts_X(self) -> Line:
        """Models that have a value."""
        return np.isfinite(self.values_RX).sum(axis=0).astype(float)

    @property
    def mean_X(self) -> Line:
        """Over the models; every x has at least one value."""
        return np.nanmean(self.values_RX, axis=0)

    @property
    def low_X(self) -> Line:
        """The smallest."""
        return np.nanmin(self.values_RX, axis=0)

    @property
    def high_X(self) -> Line:
        """The largest."""
        return np.nanmax(self.values_RX, axis=0)

    @property
    def has_band(self) -> bool:
        """Whether any x has several models."""
        return bool((self.counts_X > 1).any())

    @cached_property
    def whole(self) -> Curve:
        """The largest part of it without gaps, so that all its x have the same models."""
        known_RX = np.isfinite(self.values_RX)
        rows = sorted(largest([[set(np.flatnonzero(known_R).tolist()) for known_R in known_RX.T]]))
        return self._cut(rows, np.flatnonzero(known_RX[rows].all(axis=0)).tolist())

    def only(self, seeds: Set[Seeds]) -> Curve:
        """The part of it with these seeds alone, at the x that have all of them."""
        rows = [i for i, seed in enumerate(self.seeds) if seed in seeds]
        return self._cut(rows, [i for i in range(len(self.x)) if seeds <= set(self.seeds_at(i))])

    @property
    def best(self) -> int:
        """The index of the best x, by the mean over models that all compared x have; the smallest x of equals."""
        mean = self.whole.mean_X
        return self.x.index(self.whole.x[int(mean.argmin() if self.metric.better == "min" else mean.argmax())])

    @property
    def best_value(self) -> float:
        """The mean at the best x, over the same models."""
        return self.whole.at(self.x[self.best])

    @property
    def best_steps(self) -> int:
        """The sweet spot of a curve over T."""
        return int(self.x[self.best])

    @property
    def is_at_edge(self) -> bool:
        """Whether the best x is the first or last that was compared, so that a better one may lie beyond."""
        return self.x[self.best] in (self.whole.x[0], self.whole.x[-1])

    def at(self, x: float) -> float:
        """The mean at an x; NaN where it was not measured."""
        return float(self.mean_X[self.x.index(x)]) if x in self.x else float("nan")

    def seeds_at(self, index: int) -> list[Seeds]:
        """The seeds that have a value at the x of this index, in order."""
        there = np.isfinite(self.values_RX[:, index])
        return sorted(seed for seed, known in zip(self.seeds, there, strict=True) if known)

    def _cut(self, rows: Sequence[int], columns: Sequence[int]) -> Curve:
        x, seeds = tuple(self.x[i] for i in columns), tuple(self.seeds[i] for i in rows)
        every = range(len(self.draws))
        return replace(self, x=x, seeds=seeds, values_RDX=self.values_RDX[np.ix_(rows, every, columns)])


def metrics_of(study: Study) -> list[Metric]:
    """The metrics with a panel of their own that any point of the study has, in the order of the registry."""
    every = registry.of_rows(point.row for point in study.points)
    return [m for m in every if m.title and any(point.value(m.key) is not None for point in study.points)]


def curve(points: Sequence[Point], metric: Metric, over: str = STEPS) -> Curve | None:
    """The metric of points of one schedule over T, or over a knob whose values are numbers; None if never measured."""
    known = [(p, p.x(over), value) for p in points if (value := p.value(metric.key)) is not None]
    return _tabulated(points[0].schedule, metric, known) if known else None


def level(points: Sequence[Point], metric: Metric, key: str, name: str) -> Curve | None:
    """The metric of points without T, which is the same at every T: a curve of one x, 0; None if never measured.

    Args:
        points: of models that differ in their seeds alone.
        metric: that it is compared with.
        key: that it has in the rows of these points.
        name: of the models, in place of a schedule.
    """
    known = [(point, 0.0, value) for point in points if (value := point.value(key)) is not None]
    return _tabulated(name, metric, known) if known else None


def curves(points: Sequence[Point], metric: Metric, over: str = STEPS) -> list[Curve]:
    """One for each schedule that has the metric, in the paper's order."""
    names = in_order(point.schedule for point in points)
    made = (curve([p for p in points if p.schedule == name], metric, over) for name in names)
    return [one for one in made if one is not None]


def _tabulated(name: str, metric: Metric, known: Sequence[tuple[Point, float, float]]) -> Curve:
    """A curve of points, each with its x and its value."""
    values: dict[tuple[Seeds, Draw, float], list[float]] = defaultdict(list)  # of models of equal seeds: several
    for point, x, value in known:
        values[point.seeds, point.draw, x].append(value)
    seeds, draws, xs = (tuple(sorted(set(axis))) for axis in zip(*values, strict=True))
    values_RDX = np.full((len(seeds), len(draws), len(xs)), np.nan)
    for (one, draw, x), several in values.items():
        values_RDX[seeds.index(one), draws.index(draw), xs.index(x)] = np.mean(several)
    return Curve(name, metric, xs, seeds, draws, values_RDX)


def at_best_steps(points: Sequence[Point], knob: str, metric: Metric) -> list[Point]:
    """Of points of one schedule, for each value of a knob, those at the value's best T by a metric."""
    kept = []
    for value in {point.knob(knob) for point in points}:
        here = [point for point in points if point.knob(knob) == value]
        best = curve(here, metric)
        kept += [point for point in here if best is not None and point.steps == best.best_steps]
    return kept


def at_steps(points: Sequence[Point], schedule: str, steps: float | None, key: str) -> list[float]:
    """A metric of every model at one T, the mean over its draws of samples."""
    return by_model([p for p in points if p.schedule == schedule and p.steps == steps], key)


def by_model(points: Sequence[Point], key: str) -> list[float]:
    """A metric of every model of points of one schedule: the mean over them."""
    values: dict[Seeds, list[float]] = defaultdict(list)
    for point in points:
        if (value := point.value(key)) is not None:
            values[point.seeds].append(value)
    return [float(np.mean(several)) for _, several in sorted(values.items())]


def spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The mean, and the standard deviation (n - 1 below) where there are several values; None without any."""
    mean = float(np.mean(values)) if len(values) else None
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else None
