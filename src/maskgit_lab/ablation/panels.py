"""What is drawn, before it is known with what: panels of lines over T or over guidance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from maskgit_lab.ablation.curves import Curve, Metric, curves, distance_of, metrics_of
from maskgit_lab.ablation.published import fid_curves, table3
from maskgit_lab.ablation.studies import Point, Study
from maskgit_lab.ablation.styles import Style, in_order, spoken, styles

WIDE = 4.0  # largest over smallest value from which an axis is logarithmic
TICKS = (1, 1.5, 2, 3, 5, 7)  # of each decade of a short logarithmic axis
FEW_TICKS = (1, 2, 5)  # of a long one
LONG = 12.0
OVER_STEPS = "decoding steps T"
NEAR = 2.0  # times or halves of what is drawn, within which a level is drawn too


@dataclass(frozen=True)
class Line:
    """A curve of one schedule.

    Args:
        schedule: its name.
        style: its look.
        x: of its points.
        mean: over repeats.
        low: the smallest of the repeats.
        high: the largest.
        told: what each point has to say, a line of text an entry.
        best: the index of the sweet spot, if it is to be marked.
        has_band: whether there are repeats to show.
    """

    schedule: str
    style: Style
    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    told: Sequence[Sequence[str]]
    best: int | None
    has_band: bool


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Args:
        key: for file names and anchors.
        title: over it.
        note: below the title.
        x_title: of the axis.
        y_title: of the axis.
        is_over_steps: whether x is T, on a logarithmic axis.
        x_range: what the axis covers, without margins.
        lines: in the paper's order.
        floors: levels to compare with that lie near the lines, and what they are.
        lower_is_better: else higher.
    """

    key: str
    title: str
    note: str
    x_title: str
    y_title: str
    is_over_steps: bool
    x_range: tuple[float, float]
    lines: Sequence[Line]
    floors: Sequence[tuple[str, float]] = ()
    lower_is_better: bool = False

    @property
    def y_range(self) -> tuple[float, float]:
        """Of all that is drawn, without margins."""
        values = [v for line in self.lines for v in (*line.low, *line.high)] + [level for _, level in self.floors]
        return min(values), max(values)

    @property
    def is_log_y(self) -> bool:
        """Whether the values differ so much that the good ones would lie in a heap."""
        low, high = self.y_range
        return self.lower_is_better and low > 0 and high / low > WIDE

    @property
    def x_ticks(self) -> list[float]:
        """The powers of two on an axis of T, or what was measured."""
        low, high = self.x_range
        powers = [float(2**k) for k in range(20) if low <= 2**k <= high]
        measured = sorted({x for line in self.lines for x in line.x})
        return powers if self.is_over_steps and len(powers) > 1 else measured

    @property
    def y_ticks(self) -> list[float]:
        """Round numbers on a logarithmic axis."""
        low, high = self.y_range
        steps = FEW_TICKS if high / low > LONG else TICKS
        decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        return [m * 10.0**k for k in decades for m in steps if low * 0.8 <= m * 10.0**k <= high * 1.25]


def curve_panels(study: Study) -> list[Panel]:
    """Every metric of the study against T; the distance comes first."""
    schedules = [str(point.row["schedule"]) for point in study.points]
    looks = styles(schedules)
    panels = []
    for metric in metrics_of(study):
        drawn = curves(study.main, metric)
        lines = [_line(curve, looks[curve.schedule], study.n_samples) for curve in drawn]
        if lines:
            panels.append(_panel(metric.key, metric.title, metric, lines, _levels(study, metric), OVER_STEPS))
    return panels


def papers_panel() -> Panel:
    """FID against T as published."""
    looks = styles(table3())
    lines = [_papers_line(name, looks[name]) for name in in_order(fid_curves())]
    title = "The paper's own: FID on ImageNet 256 x 256"
    note = "Another data set and another model: compare the shapes, not the values."
    return Panel("paper", title, note, OVER_STEPS, "FID", True, _range(lines), lines, (), True)


def side_by_side(panels: Sequence[Panel]) -> list[Panel]:
    """The same panels over the same T, so that their shapes can be compared."""
    ends = [end for panel in panels for end in panel.x_range]
    return [replace(panel, x_range=(min(ends), max(ends))) for panel in panels]


def guidance_panels(study: Study) -> list[Panel]:
    """Metrics against the guidance scale, each at its own best T by the distance."""
    distance, panels = distance_of(study), []
    looks = styles(str(point.row["schedule"]) for point in study.points)
    for metric in metrics_of(study):
        lines = [
            line
            for name in in_order(study.guided)
            if (line := _guidance_line(study.guided[name], metric, distance, looks[name])) is not None
        ]
        if lines:
            title, levels = f"{metric.title}, at the best T of each", _levels(study, metric)
            panels.append(_panel(f"guidance-{metric.key}", title, metric, lines, levels, "guidance"))
    return panels


def format_value(value: float) -> str:
    """With three or four significant digits."""
    if abs(value) >= 99.95:
        return f"{value:.0f}" if abs(value) >= 999.95 else f"{value:.1f}"
    return f"{value:#.3g}"


def _panel(
    key: str, title: str, metric: Metric, lines: Sequence[Line], levels: Sequence[tuple[str, float]], over: str
) -> Panel:
    """Levels that would flatten the lines are told, and not drawn."""
    values = [value for line in lines for value in (*line.low, *line.high)]
    near = [(name, level) for name, level in levels if min(values) / NEAR <= level <= max(values) * NEAR]
    told = [f"{metric.label}: {'lower' if metric.lower_is_better else 'higher'} is better"]
    told += [f"{name}: {format_value(level)}" for name, level in levels if (name, level) not in near]
    is_over_steps, lower = over == OVER_STEPS, metric.lower_is_better
    return Panel(key, title, "; ".join(told), over, metric.label, is_over_steps, _range(lines), lines, near, lower)


def _line(curve: Curve, style: Style, n_samples: int) -> Line:
    told = [_told(curve, i, n_samples) for i in range(len(curve.steps))]
    best = curve.best if len(curve.steps) > 1 else None
    mean, low, high = (values.tolist() for values in (curve.mean_T, curve.low_T, curve.high_T))
    x = [float(t) for t in curve.steps]
    return Line(curve.schedule, style, x, mean, low, high, told, best, curve.has_band)


def _told(curve: Curve, i: int, n_samples: int) -> list[str]:
    there = np.isfinite(curve.values_RT[:, i])
    seeds = sorted(seed for seed, known in zip(curve.seeds, there, strict=True) if known)
    mean, low, high = (format_value(float(values[i])) for values in (curve.mean_T, curve.low_T, curve.high_T))
    spread = f" ({low} to {high})" if len(seeds) > 1 else ""
    said = f"{len(seeds)} seeds: {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    best = ["its best T"] if i == curve.best and len(curve.steps) > 1 else []
    value = f"{curve.metric.label} {mean}{spread}"
    return [f"{spoken(curve.schedule)}, T = {curve.steps[i]}", value, said, f"n = {n_samples:,} samples each", *best]


def _papers_line(name: str, style: Style) -> Line:
    """The figure ends at T = 32; Table 3 adds the best T of a schedule that has it beyond."""
    table = table3()[name]
    curve = {table.best_steps: table.fid, **fid_curves()[name]}
    x, fid = [float(t) for t in sorted(curve)], [curve[t] for t in sorted(curve)]
    told = [[f"{spoken(name)}, T = {t}", f"FID {curve[t]:.2f}", "the paper, ImageNet 256"] for t in sorted(curve)]
    best = sorted(curve).index(table.best_steps)
    told[best].append("its best T by Table 3")
    return Line(name, style, x, fid, fid, fid, told, best, False)


def _guidance_line(points: Sequence[Point], metric: Metric, distance: Metric, style: Style) -> Line | None:
    """At each guidance the T is sought that has the best distance, and the metric is read there."""
    found = []
    for scale in sorted({float(p.row.get("guidance", 0.0)) for p in points}):
        here = [p for p in points if float(p.row.get("guidance", 0.0)) == scale]
        for by, drawn in zip(curves(here, distance), curves(here, metric), strict=False):
            if by.best_steps in drawn.steps:
                found.append((scale, drawn, drawn.steps.index(by.best_steps)))
    if not found:
        return None
    x = [scale for scale, _, _ in found]
    mean, low, high = (
        [float(getattr(drawn, name)[i]) for _, drawn, i in found] for name in ("mean_T", "low_T", "high_T")
    )
    told = [
        [f"{spoken(drawn.schedule)}, guidance {scale:g}", f"T = {drawn.steps[i]}", f"{metric.label} {format_value(v)}"]
        for (scale, drawn, i), v in zip(found, mean, strict=True)
    ]
    best = mean.index(min(mean) if metric.lower_is_better else max(mean))
    return Line(found[0][1].schedule, style, x, mean, low, high, told, best, any(d.has_band for _, d, _ in found))


def _levels(study: Study, metric: Metric) -> list[tuple[str, float]]:
    """What a perfect model could reach: the tokenizer's own distance, and a classifier of real images."""
    if metric.key == "cas_top1":
        known = {"trained on real images": "cas_real_top1"}
    else:
        known = {"the tokenizer's reconstructions": f"r{study.distance}"} if metric.key == study.distance else {}
    return [(name, level) for name, key in known.items() if (level := _mean(study.main, key)) is not None]


def _mean(points: Iterable[Point], key: str) -> float | None:
    values = [value for point in points if (value := point.value(key)) is not None]
    return sum(values) / len(values) if values else None


def _range(lines: Sequence[Line]) -> tuple[float, float]:
    return min(x for line in lines for x in line.x), max(x for line in lines for x in line.x)
