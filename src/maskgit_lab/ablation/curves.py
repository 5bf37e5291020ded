"""Curves over T: every metric of a schedule by repeat and T, with its mean, its band and its sweet spot.

Shapes: R repeats (a model and a seed each), T numbers of decoding steps; NaN is what was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from maskgit_lab.ablation.studies import Point, Study
from maskgit_lab.ablation.styles import in_order

Values = Float[np.ndarray, "R T"]
Line = Float[np.ndarray, " T"]


@dataclass(frozen=True)
class Metric:
    """A number that is drawn against T.

    Args:
        key: in the rows.
        label: on its axis.
        title: over its panel.
        lower_is_better: else higher.
    """

    key: str
    label: str
    title: str
    lower_is_better: bool = False


OTHER_METRICS = (
    Metric("inception_score", "IS", "Inception score"),
    Metric("cas_top1", "CAS", "Classification accuracy score"),
    Metric("precision", "precision", "Precision"),
    Metric("recall", "recall", "Recall"),
    Metric("sample_accuracy", "recognised", "Samples recognised as their class"),
)
NLL = "nll"


def distance_of(study: Study) -> Metric:
    """The study's Fréchet distance."""
    name = "Fréchet inception distance" if study.distance == "fid" else f"Fréchet distance of {study.features} features"
    return Metric(study.distance, study.distance_label, name, lower_is_better=True)


def metrics_of(study: Study) -> list[Metric]:
    """The metrics that any point of the study has."""
    every = (distance_of(study), *OTHER_METRICS)
    return [m for m in every if any(point.value(m.key) is not None for point in study.points)]


@dataclass(frozen=True)
class Curve:
    """One metric of one schedule.

    Args:
        schedule: its name.
        metric: what the values are.
        steps: T, ascending.
        seeds: of the repeats.
        values_RT: one row a repeat.
    """

    schedule: str
    metric: Metric
    steps: tuple[int, ...]
    seeds: tuple[int, ...]
    values_RT: Values

    @property
    def counts_T(self) -> Line:
        """Repeats that have a value."""
        return np.isfinite(self.values_RT).sum(axis=0).astype(float)

    @property
    def mean_T(self) -> Line:
        """Over the repeats; every T has at least one value."""
        return np.nanmean(self.values_RT, axis=0)

    @property
    def low_T(self) -> Line:
        """The smallest."""
        return np.nanmin(self.values_RT, axis=0)

    @property
    def high_T(self) -> Line:
        """The largest."""
        return np.nanmax(self.values_RT, axis=0)

    @property
    def has_band(self) -> bool:
        """Whether any T has several repeats."""
        return bool((self.counts_T > 1).any())

    @property
    def best(self) -> int:
        """The index of the best T, by the mean over the repeats; the smallest T of equals."""
        mean = self.mean_T
        return int(mean.argmin() if self.metric.lower_is_better else mean.argmax())

    @property
    def best_steps(self) -> int:
        """The sweet spot."""
        return self.steps[self.best]

    @property
    def is_at_edge(self) -> bool:
        """Whether the best T is the first or last that was measured, so that a better one may lie beyond."""
        return self.best in (0, len(self.steps) - 1)


def curve(points: Sequence[Point], metric: Metric) -> Curve | None:
    """The metric over T of points of one schedule; None if it was never measured."""
    found = [(p.repeat, int(p.row["steps"]), value) for p in points if (value := p.value(metric.key)) is not None]
    if not found:
        return None
    repeats = sorted({repeat for repeat, _, _ in found}, key=lambda repeat: (repeat[1], repeat[0]))
    steps = sorted({t for _, t, _ in found})
    values_RT = np.full((len(repeats), len(steps)), np.nan)
    for repeat, t, value in found:
        values_RT[repeats.index(repeat), steps.index(t)] = value
    schedule = str(points[0].row["schedule"])
    return Curve(schedule, metric, tuple(steps), tuple(seed for _, seed in repeats), values_RT)


def curves(points: Sequence[Point], metric: Metric) -> list[Curve]:
    """One for each schedule that has the metric, in the paper's order."""
    by_schedule = {name: [p for p in points if p.row["schedule"] == name] for name in _schedules(points)}
    made = (curve(several, metric) for several in by_schedule.values())
    return [one for one in made if one is not None]


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation (n - 1 below) where there are several values."""
    array = np.asarray(values, dtype=float)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None


def at_steps(points: Sequence[Point], schedule: str, steps: int, key: str) -> list[float]:
    """A metric of every repeat at one T."""
    here = (p for p in points if p.row["schedule"] == schedule and p.row["steps"] == steps)
    return [value for p in here if (value := p.value(key)) is not None]


def _schedules(points: Sequence[Point]) -> list[str]:
    return in_order(str(point.row["schedule"]) for point in points)
