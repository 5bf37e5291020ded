"""Horizontal lines to compare curves with: what a perfect model could reach, and what autoregressive models reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from maskgit_lab.ablation.baselines import level_of
from maskgit_lab.ablation.floors import CAS_KEY, NAMES, REAL_CLASSIFIER, floors, real_cas
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import BOUND, Metric
from maskgit_lab.report.styles import BASELINES, FLOORS, PASTED, Style
from maskgit_lab.report.words import format_value
from maskgit_lab.runs.results import PASTED as PASTED_SOURCE

NEAR = 2.0  # times or halves of what is drawn, within which a level is drawn too
FAR = 20.0  # the same of baselines, and where the axis can be logarithmic


@dataclass(frozen=True)
class Level:
    """A horizontal line to compare with, and its band, which has no height where there is one model."""

    name: str  # what it is of
    style: Style  # its look
    value: float  # the mean over its models
    low: float  # of the smallest
    high: float  # of the largest
    is_exact: bool = False  # beside lines that are bounds
    is_baseline: bool = False  # of models of ours, and not of what a perfect one could reach
    decimals: int | None = None  # of a number that is printed with so many in the paper

    @property
    def text(self) -> str:
        """`reconstructions: 1.45`, `autoregressive: 6.31 (6.10 to 6.50)`."""
        band = f" ({format_value(self.low)} to {format_value(self.high)})" if self.has_band else ""
        return f"{self.name}: {self.short}{band}"

    @property
    def short(self) -> str:
        """The mean alone."""
        text = format_value(self.value) if self.decimals is None else f"{self.value:.{self.decimals}f}"
        return f"{text} exact" if self.is_exact else text

    @property
    def has_band(self) -> bool:
        return self.low < self.high


def levels_of(study: Study, metric: Metric) -> list[Level]:
    """What a perfect model could reach, held-out images and reconstructions of as many and a classifier of real
    images, and what autoregressive models reach.
    """
    found = [(floor.name, floor.value(metric.key)) for floor in floors(study) if floor.n == study.n_samples]
    if metric.key == CAS_KEY:
        found.append((REAL_CLASSIFIER, real_cas(study.main)))
    known = [(name, value) for name, value in found if value is not None and math.isfinite(value)]
    looks = cycle(FLOORS)
    drawn = [(name, PASTED if name == NAMES[PASTED_SOURCE] else next(looks), value) for name, value in known]
    return [*(Level(name, look, value, value, value) for name, look, value in drawn), *_baselines(study, metric)]


def nearby(levels: Sequence[Level], values: Sequence[float], metric: Metric) -> list[Level]:
    """The levels that are drawn: baselines, which the lines are compared with, also where they flatten them a little.

    Args:
        levels: all of a panel.
        values: of its lines.
        metric: that they are of.
    """
    baselines = [level for level in levels if level.is_baseline and _is_within(level, values, FAR)]
    drawn = [*values, *(level.value for level in baselines)]
    room = FAR if metric.better == "min" and min(values) > 0 else NEAR
    return [
        level for level in levels if level in baselines or (not level.is_baseline and _is_within(level, drawn, room))
    ]


def _is_within(level: Level, values: Sequence[float], times: float) -> bool:
    return min(values) / times <= level.value <= max(values) * times


def _baselines(study: Study, metric: Metric) -> list[Level]:
    """The level of each baseline that has the metric; one looks the same in all panels."""
    is_exact = metric.key == BOUND
    looks = zip(study.baselines, cycle(BASELINES), strict=False)
    found = ((one, style, drawn) for one, style in looks if (drawn := level_of(one, metric)) is not None)
    return [
        Level(one.name, style, float(drawn.mean_X[0]), float(drawn.low_X[0]), float(drawn.high_X[0]), is_exact, True)
        for one, style, drawn in found
    ]


def of_other_numbers(study: Study, metric: Metric) -> list[str]:
    """Held-out images and reconstructions that are not as many as the samples, in words."""
    others = [floor for floor in floors(study) if floor.n != study.n_samples]
    found = [(f"{floor.name} (n = {floor.n:,})", floor.value(metric.key)) for floor in others]
    return [f"{name}: {format_value(value)}" for name, value in found if value is not None and math.isfinite(value)]
