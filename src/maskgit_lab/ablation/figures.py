"""The same figures by Matplotlib, for papers: PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from maskgit_lab.ablation.heats import Heat
from maskgit_lab.ablation.panels import Line, Panel, format_value
from maskgit_lab.ablation.styles import in_order, spoken

# Text stays text in the SVG; with a salt, and without a date, the same results give the same bytes.
RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "maskgit_lab", "font.size": 9, "axes.spines.top": False}
RC |= {"axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True}
DPI = 150
PANEL_SIZE = (3.4, 2.9)  # inches
GREY = "#6b7686"
X_MARGIN = 1.12  # of a logarithmic axis, as a factor at either end


def draw_panels(panels: Sequence[Panel], title: str, path: Path) -> list[Path]:
    """Draws panels side by side with one legend; returns the PNG and the SVG."""
    columns = 3 if len(panels) in (3, 5, 6, 9) else min(4, len(panels))  # fewest gaps
    rows = -(-len(panels) // columns)
    with mpl.rc_context(RC):
        figure = Figure(figsize=(PANEL_SIZE[0] * columns, PANEL_SIZE[1] * rows + 0.7), layout="constrained")
        figure.suptitle(title, fontsize=10, parse_math=False)
        axes: Any = figure.subplots(rows, columns, squeeze=False).ravel()
        for one, panel in zip(axes, panels, strict=False):
            _draw_panel(one, panel)
        for unused in axes[len(panels) :]:
            unused.set_axis_off()
        _draw_legend(figure, axes)
        return _save(figure, path)


def draw_heat(heat: Heat, title: str, path: Path) -> list[Path]:
    """Draws a map with its values in the cells; the best cell is framed. Returns the PNG and the SVG."""
    rows, columns = heat.values_YX.shape
    with mpl.rc_context(RC | {"axes.grid": False}):
        figure = Figure(figsize=(0.75 * columns + 1.8, 0.5 * rows + 1.6), layout="constrained")
        figure.suptitle(f"{title}\n{heat.title}", fontsize=9, parse_math=False)
        axes = figure.subplots()
        axes.imshow(
            heat.colours_YX, cmap="cividis_r", aspect="auto", origin="upper" if heat.marks_diagonal else "lower"
        )
        axes.set_xticks(range(columns), heat.x, rotation=30 if heat.marks_diagonal else 0)
        axes.set_yticks(range(rows), heat.y)
        axes.set(xlabel=heat.x_title, ylabel=heat.y_title)
        _write_cells(axes, heat)
        return _save(figure, path)


def _draw_legend(figure: Figure, axes: Any) -> None:
    handles = {label: handle for one in axes for handle, label in zip(*one.get_legend_handles_labels(), strict=True)}
    names = in_order(handles)
    shown = [handles[name] for name in names], [spoken(name) for name in names]
    figure.legend(*shown, loc="outside lower center", ncols=min(8, len(names)), frameon=False)


def _write_cells(axes: Any, heat: Heat) -> None:
    low, high = np.nanmin(heat.colours_YX), np.nanmax(heat.colours_YX)
    for row, column in np.ndindex(heat.values_YX.shape):
        dark = heat.colours_YX[row, column] > (low + high) / 2
        colour = "white" if dark else "black"
        axes.text(column, row, heat.cells[row][column], ha="center", va="center", fontsize=8, color=colour)
    row, column = heat.best
    axes.add_patch(
        mpl.patches.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2.5)
    )


def _draw_panel(axes: Any, panel: Panel) -> None:
    for name, level in panel.floors:
        axes.axhline(level, color=GREY, linestyle=":", linewidth=1)
        text = f"{name}: {format_value(level)}"
        axes.annotate(text, (1, level), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", fontsize=7, color=GREY)  # fmt: skip
    for line in panel.lines:
        _draw_line(axes, line)
    if panel.is_over_steps:
        axes.set_xscale("log", base=2)
        axes.set_xlim(panel.x_range[0] / X_MARGIN, panel.x_range[1] * X_MARGIN)
    if panel.is_log_y:
        axes.set_yscale("log")
        axes.set_yticks(panel.y_ticks, [f"{tick:g}" for tick in panel.y_ticks])
    axes.set_xticks(panel.x_ticks, [f"{tick:g}" for tick in panel.x_ticks])
    axes.minorticks_off()
    axes.set_title(panel.title, fontsize=9, parse_math=False)
    axes.set(xlabel=panel.x_title, ylabel=panel.y_title)


def _draw_line(axes: Any, line: Line) -> None:
    style = line.style
    look = {"color": style.colour, "linestyle": style.drawn_dash, "marker": style.drawn_marker}
    axes.plot(line.x, line.mean, **look, markersize=4, linewidth=1.4, label=line.schedule)
    if line.has_band:
        axes.fill_between(line.x, line.low, line.high, color=style.colour, alpha=0.15, linewidth=0)
    if line.best is not None:
        at = ([line.x[line.best]], [line.mean[line.best]])
        axes.plot(*at, marker="*", markersize=13, color=style.colour, markeredgecolor="white", zorder=5)


def _save(figure: Figure, path: Path) -> list[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    png, svg = path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.svg")
    figure.savefig(png, dpi=DPI)
    figure.savefig(svg, metadata={"Date": None})
    return [png, svg]
