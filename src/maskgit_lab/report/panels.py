"""Panels of lines over T or over a knob, as both Plotly and Matplotlib draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskgit_lab.ablation.baseline import AUTOREGRESSIVE
from maskgit_lab.ablation.baselines import level_of
from maskgit_lab.ablation.curves import Curve, at_best_steps, curves, metrics_of
from maskgit_lab.ablation.points import STEPS, Draw, Point
from maskgit_lab.ablation.published import fid_curves, papers_baseline, table3
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.sharing import compare
from maskgit_lab.ablation.study import Study
from maskgit_lab.axes import room_around
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.registry import TABLE, Metric
from maskgit_lab.report.level_lines import Level, levels_of, nearby, of_other_numbers
from maskgit_lab.report.styles import BASELINES, Style, styles
from maskgit_lab.report.words import EDGE, count, format_seeds, format_value, label

BOUND = TABLE[registry.BOUND]
PAPERS_KEY = "paper"  # of the panel of the published curves
WIDE = 4.0  # largest over smallest value from which an axis is logarithmic
TICKS = (1, 1.5, 2, 3, 5, 7)  # of each decade of a short logarithmic axis
FEW_TICKS = (1, 2, 5)  # of a long one
LONG = 12.0


@dataclass(frozen=True)
class Line:
    """A curve as it is drawn."""

    curve: Curve  # its numbers
    style: Style  # its look
    hover: Sequence[Sequence[str]]  # what is shown of each point under the pointer, a line of text an entry
    best: int | None  # the index of the point that is marked as the best, if one is
    ringed: Sequence[int] = ()  # the indices of points that have a ring


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    key: str  # for file names and anchors
    title: str  # over it
    note: str  # below the title
    over: str  # what x is: T, on a logarithmic axis, or a knob
    metric: Metric  # of the lines
    lines: Sequence[Line]  # in the paper's order
    levels: Sequence[Level]  # horizontal lines to compare with
    x_range: tuple[float, float]  # what the axis covers, without margins
    far: Sequence[str] = ()  # levels that are written below the title, since they would flatten the lines

    @property
    def is_log_x(self) -> bool:
        return self.over == STEPS

    @property
    def x_title(self) -> str:
        return "decoding steps T" if self.over == STEPS else f"{label(self.over)} (each at its best T)"

    @property
    def y_range(self) -> tuple[float, float]:
        """Of everything that is drawn, without margins."""
        return min(self._drawn), max(self._drawn)

    @property
    def y_room(self) -> tuple[float, float] | None:
        """What the axis covers where the values are all equal, or nearly; None: what the values span."""
        return room_around(self._drawn)

    @property
    def _drawn(self) -> list[float]:
        return [*_values(self.lines), *(end for level in self.levels for end in (level.low, level.high))]

    @property
    def is_log_y(self) -> bool:
        """Whether the values differ so much that the good ones would lie on top of each other."""
        low, high = self.y_range
        return self.metric.better == "min" and low > 0 and high / low > WIDE

    @property
    def x_ticks(self) -> list[float]:
        """The powers of two on an axis of T, or what was measured."""
        low, high = self.x_range
        powers = [float(2**k) for k in range(20) if low <= 2**k <= high]
        if self.is_log_x and len(powers) > 1:
            return powers
        return sorted({x for line in self.lines for x in line.curve.x})

    @property
    def y_ticks(self) -> list[float]:
        """Round numbers on a logarithmic axis."""
        low, high = self.y_range
        steps = FEW_TICKS if high / low > LONG else TICKS
        decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        return [m * 10.0**k for k in decades for m in steps if low * 0.8 <= m * 10.0**k <= high * 1.25]


def curve_panels(study: Study) -> list[Panel]:
    """Every metric of the study against T; the distance comes first."""
    return _panels(study, study.main, STEPS)


def knob_panels(study: Study, knob: str) -> list[Panel]:
    """Every metric against a knob, each of its values at its own best T by the distance."""
    along = study.along(knob).values()
    return _panels(study, [p for points in along for p in at_best_steps(points, knob, study.distance)], knob)


def with_more(panel: Panel, study: Study, more: Sequence[tuple[Curve, Style]]) -> Panel:
    """A panel over T with further curves of its metric, each at its own best T, after the lines that it has."""
    lines = list(panel.lines)
    for one, style in more:
        has_best = panel.metric.better and len(one.whole.x) > 1
        lines.append(_line(study, STEPS, one, style, {}, one.best if has_best else None))
    return replace(panel, lines=lines, x_range=_x_range(lines))


def papers_panel(with_baseline: bool = False) -> Panel:
    """FID against T as published, and beside it that of the autoregressive baseline (Table 1)."""
    lines = [_papers_line(name, style) for name, style in styles(fid_curves()).items()]
    title = "The paper's own: FID on ImageNet 256 x 256"
    note = "Another data set and another model: compare the shapes, not the values."
    fid = papers_baseline().fid if with_baseline else None
    levels = [] if fid is None else [Level(AUTOREGRESSIVE, BASELINES[0], fid, fid, fid, decimals=2)]
    return Panel(PAPERS_KEY, title, note, STEPS, TABLE["fid"], lines, levels, _x_range(lines))


def side_by_side(panels: Sequence[Panel]) -> list[Panel]:
    """The same panels over the same T, so that their shapes can be compared."""
    ends = [end for panel in panels for end in panel.x_range]
    return [replace(panel, x_range=(min(ends), max(ends))) for panel in panels]


def _panels(study: Study, points: Sequence[Point], over: str) -> list[Panel]:
    looks = styles(point.schedule for point in study.points)
    drawn = [(metric, curves(points, metric, over)) for metric in [*metrics_of(study), *_likelihood(study, over)]]
    steps = {(point.schedule, point.x(over)): point.steps for point in points}
    panels = []
    for metric, several in ((metric, several) for metric, several in drawn if several):
        best = _best(several, over)
        lines = [_line(study, over, one, looks[one.schedule], steps, best[one.schedule]) for one in several]
        panels.append(_panel(study, over, metric, lines))
    return panels


def _likelihood(study: Study, over: str) -> list[Metric]:
    """The bound, which is the same at every T, where there is an exact likelihood to compare it with."""
    exact = any(level_of(one, BOUND) is not None for one in study.baselines)
    bound = replace(BOUND, title="Negative log-likelihood of held-out codes", better=None)  # so no T of it is the best
    return [bound] if exact and over == STEPS else []


def _panel(study: Study, over: str, metric: Metric, lines: Sequence[Line]) -> Panel:
    """Levels that would flatten the lines are written below the title instead of drawn, and so are those of another
    number of images, with it.
    """
    levels = levels_of(study, metric)
    near = nearby(levels, _values(lines), metric)
    better = {"min": ": lower is better", "max": ": higher is better", None: ""}[metric.better]
    better = ", in nats per token, the same at every T: lower is better" if metric.key == BOUND.key else better
    far = [level.text for level in levels if level not in near]
    far += of_other_numbers(study, metric)
    key, note = metric.key if over == STEPS else f"{over}-{metric.key}", "; ".join([f"{metric.label}{better}", *far])
    return Panel(key, metric.title, note, over, metric, lines, near, _x_range(lines), far)


def _best(several: Sequence[Curve], over: str) -> dict[str, int | None]:
    """For each curve the index of the best of several x, which over T is that of the tables."""
    compared = compare(several).by_schedule if over == STEPS else {one.schedule: one.whole for one in several}
    found = {one.schedule: (one, compared[one.schedule]) for one in several}
    return {
        name: one.x.index(kept.x[kept.best]) if one.metric.better and len(kept.x) > 1 else None
        for name, (one, kept) in found.items()
    }


def _line(
    study: Study, over: str, curve: Curve, style: Style, steps: Mapping[tuple[str, float], int], best: int | None
) -> Line:
    name = "T" if over == STEPS else label(over)
    hover = []
    for i, x in enumerate(curve.x):
        at = [] if over == STEPS else [f"T = {steps[curve.schedule, x]}"]
        where = ", ".join([label(curve.schedule), f"{name} = {x:g}", *at])
        hover.append([where, *_measured(curve, i), f"n = {study.n_samples:,} samples each"])
        hover[i] += [f"its best {name}{EDGE * (x in (curve.x[0], curve.x[-1]))}"] if i == best else []
    return Line(curve, style, hover, best)


def _measured(curve: Curve, i: int) -> list[str]:
    """The mean, the band and the seeds of a point."""
    seeds, of = curve.seeds_at(i), curve.metric.label
    mean, low, high = (format_value(float(values[i])) for values in (curve.mean_X, curve.low_X, curve.high_X))
    if len(seeds) == 1:
        return [f"{of} {mean}", format_seeds(seeds)]
    return [f"{of} {mean} ({low} to {high})", f"{count(len(seeds), 'seed')}: {format_seeds(seeds).partition(' ')[2]}"]


def _papers_line(name: str, style: Style) -> Line:
    """The figure ends at T = 32; Table 3 adds the best T of a schedule that has it beyond."""
    row = table3()[name]
    known = dict(sorted({row.best_steps: row.fid, **fid_curves()[name]}.items()))
    hover = [[f"{label(name)}, T = {t}", f"FID {fid:.2f}", "the paper, ImageNet 256"] for t, fid in known.items()]
    best = list(known).index(row.best_steps)
    hover[best].append("its best T by Table 3")
    curve = Curve(name, TABLE["fid"], tuple(known), (Seeds(0),), (Draw(0),), np.array([[list(known.values())]]))
    return Line(curve, style, hover, best)


def _values(lines: Sequence[Line]) -> list[float]:
    return [float(value) for line in lines for value in (*line.curve.low_X, *line.curve.high_X)]


def _x_range(lines: Sequence[Line]) -> tuple[float, float]:
    return min(x for line in lines for x in line.curve.x), max(x for line in lines for x in line.curve.x)
