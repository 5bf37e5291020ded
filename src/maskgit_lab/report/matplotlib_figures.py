"""Panels and maps drawn with Matplotlib, for papers: PNG and SVG."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from maskgit_lab.ablation.published import in_order
from maskgit_lab.report.maps import Map
from maskgit_lab.report.panels import Line, Panel
from maskgit_lab.report.styles import BEST
from maskgit_lab.report.words import NONE, label

# Text stays text in the SVG; with a salt, and without a date, the same results give the same bytes.
RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "maskgit_lab", "font.size": 9, "axes.spines.top": False}
RC |= {"axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True}
DPI = 150
PANEL_SIZE = (3.4, 2.9)  # inches
LETTERS = 13  # of a title, for each inch of its figure
ENTRY, LETTER = 0.55, 0.075  # inches of an entry of the legend without its text, and of a letter of it
LEGEND_LINE = 0.2  # inches of a line of the legend
GREY = "#6b7686"
LINE = 48  # letters of a line below a panel's title
APART = 0.06  # of the height of an axis, between the values that are written beside it
X_MARGIN = 1.12  # of a logarithmic axis, as a factor at either end


def draw_panels(panels: Sequence[Panel], title: str, path: Path) -> Path:
    """Draws panels side by side with one legend; writes PNG and SVG and returns the PNG."""
    columns = 3 if len(panels) in (3, 5, 6, 9) else min(4, len(panels))  # fewest gaps
    rows = -(-len(panels) // columns)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(PANEL_SIZE[0] * columns, PANEL_SIZE[1] * rows + 0.7), layout="constrained")
        figure.suptitle(_wrapped(title, figure), fontsize=10, parse_math=False)
        grid: Any = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _draw_panel(axes, panel)
        for unused in grid[len(panels) :]:
            unused.set_axis_off()
        _draw_legend(figure, grid)
        return save_figure(figure, path)


def draw_map(drawn: Map, title: str, path: Path) -> Path:
    """Draws a map with its values in the cells; the best cell is framed. Writes PNG and SVG and returns the PNG."""
    rows, columns = drawn.values_YX.shape
    with mpl.rc_context(RC | {"axes.grid": False}):
        figure = Figure(figsize=(0.75 * columns + 1.8, 0.5 * rows + 1.6), layout="constrained")
        figure.suptitle(f"{_wrapped(title, figure)}\n{_wrapped(drawn.title, figure)}", fontsize=9, parse_math=False)
        axes = figure.subplots()
        has_words = drawn.numbers is None
        axes.imshow(drawn.colours_YX, cmap="cividis_r", aspect="auto", origin="upper" if has_words else "lower")
        axes.set_xticks(range(columns), drawn.x, rotation=30 if has_words else 0)
        axes.set_yticks(range(rows), drawn.y)
        axes.set(xlabel=drawn.x_title, ylabel=drawn.y_title)
        _write_cells(axes, drawn)
        return save_figure(figure, path)


def _wrapped(title: str, figure: Figure) -> str:
    """In as many lines as the figure needs to hold it."""
    return textwrap.fill(title, int(LETTERS * figure.get_figwidth()), break_on_hyphens=False)


def _draw_legend(figure: Figure, grid: Any) -> None:
    handles = {name: handle for one in grid for handle, name in zip(*one.get_legend_handles_labels(), strict=True)}
    names = in_order(handles)
    shown = [handles[name] for name in names], [label(name) for name in names]
    columns = max(1, min(len(names), int(figure.get_figwidth() / (ENTRY + LETTER * max(map(len, names))))))
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * (-(-len(names) // columns) - 1))
    figure.legend(*shown, loc="outside lower center", ncols=columns, frameon=False)


def _write_cells(axes: Any, drawn: Map) -> None:
    colours = drawn.colours_YX
    middle = (np.nanmin(colours) + np.nanmax(colours)) / 2
    for row, column in np.ndindex(colours.shape):
        colour = "white" if colours[row, column] > middle else "black"
        is_hole = np.isnan(colours[row, column])
        text = NONE if is_hole else drawn.cells[row][column].text
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=GREY if is_hole else colour)
    row, column = drawn.best
    frame = mpl.patches.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=BEST, linewidth=2.5)
    axes.add_patch(frame)


def _draw_panel(axes: Any, panel: Panel) -> None:
    for level in panel.levels:
        look = {"color": level.style.colour, "linestyle": level.style.matplotlib_dash, "linewidth": 1.1}
        axes.axhline(level.value, **look, label=level.name)
        if level.has_band:
            axes.axhspan(level.low, level.high, color=level.style.colour, alpha=0.12, linewidth=0)
    for line in panel.lines:
        _draw_line(axes, line)
    if panel.is_log_x:
        axes.set_xscale("log", base=2)
        axes.set_xlim(panel.x_range[0] / X_MARGIN, panel.x_range[1] * X_MARGIN)
    if panel.is_log_y:
        axes.set_yscale("log")
        axes.set_yticks(panel.y_ticks, [f"{tick:g}" for tick in panel.y_ticks])
    else:
        axes.ticklabel_format(axis="y", useOffset=False)
        if panel.y_room is not None:
            axes.set_ylim(panel.y_room)
    axes.set_xticks(panel.x_ticks, [f"{tick:g}" for tick in panel.x_ticks])
    axes.minorticks_off()
    far = [textwrap.fill(text, LINE) for text in panel.far]
    axes.set_title("\n".join([panel.title, *far]), fontsize=8 if far else 9, parse_math=False)
    axes.set(xlabel=panel.x_title, ylabel=panel.metric.label)
    _write_levels(axes, panel)


def _write_levels(axes: Any, panel: Panel) -> None:
    """The value of each level at the right end of its line, outside of the axes, where it lies on no curve."""
    to_axes = axes.transScale + axes.transLimits
    ends = [(float(to_axes.transform((panel.x_range[0], level.value))[1]), level) for level in panel.levels]
    at = -math.inf
    for end, level in sorted(ends, key=lambda pair: pair[0]):
        at = max(end, at + APART)
        axes.annotate(level.short, (1, at), (3, 0), xycoords="axes fraction",
                      textcoords="offset points", va="center", fontsize=7, color=level.style.colour)  # fmt: skip


def _draw_line(axes: Any, line: Line) -> None:
    curve, style = line.curve, line.style
    look = {"color": style.colour, "linestyle": style.matplotlib_dash, "marker": style.matplotlib_marker}
    axes.plot(curve.x, curve.mean_X, **look, markersize=4, linewidth=1.4, label=curve.schedule)
    if curve.has_band:
        axes.fill_between(curve.x, curve.low_X, curve.high_X, color=style.colour, alpha=0.15, linewidth=0)
    for i in line.ringed:
        axes.plot(curve.x[i], curve.mean_X[i], "o", markersize=9, markerfacecolor="none", markeredgecolor=style.colour)
    if line.best is not None:
        at = ([curve.x[line.best]], [curve.mean_X[line.best]])
        axes.plot(*at, marker="*", markersize=13, color=style.colour, markeredgecolor="white", zorder=5)


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes PNG and SVG, whose names the path lacks; returns the PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    png = path.with_name(f"{path.name}.png")
    figure.savefig(png, dpi=DPI)
    figure.set_layout_engine("none")  # stays as it is, which takes half the time of laying it out twice
    figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})
    return png
