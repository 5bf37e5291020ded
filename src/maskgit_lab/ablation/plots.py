"""Figures for Plotly, as the plain dictionaries that its JavaScript reads; `plotly.graph_objects.Figure` takes them.

They are made without that package's Python classes, whose checks would take most of the time of a report.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from maskgit_lab.ablation.heats import Heat
from maskgit_lab.ablation.panels import Line, Panel, format_value

Spec = dict[str, Any]

FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif", "size": 12}
INK, GRID, FLOOR = "#1c2430", "#e6e9ee", "#6b7686"
MARGIN = 0.04  # of an axis, at either end


def panel_spec(panel: Panel) -> Spec:
    """Lines with bands over seeds; each line's best point is a star."""
    data = [trace for line in panel.lines for trace in _traces(line)]
    data = [_floor(name, level, panel) for name, level in panel.floors] + data
    layout = _layout(panel.x_title, panel.y_title)
    layout["xaxis"] |= _axis(panel.x_range, panel.x_ticks, is_log=panel.is_over_steps)
    if panel.is_log_y:
        layout["yaxis"] |= _axis(panel.y_range, panel.y_ticks, is_log=True)
    return {"data": data, "layout": layout}


def heat_spec(heat: Heat) -> Spec:
    """A map with its values written into the cells; the best cell has a star."""
    row, column = heat.best
    cells = [[text.replace("\n", "<br>") for text in line] for line in heat.cells]
    cells[row][column] = f"<b>★ {cells[row][column]}</b>"
    trace = {
        **{"type": "heatmap", "x": list(heat.x), "y": list(heat.y), "z": plain(heat.colours_YX)},
        **{"text": cells, "texttemplate": "%{text}", "hovertext": _joined(heat), "hoverinfo": "text"},
        **{"colorscale": "Cividis", "reversescale": True, "showscale": False, "xgap": 2, "ygap": 2},
        "hoverongaps": False,
    }
    layout = _layout(heat.x_title, heat.y_title)
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"type": "category", "showgrid": False, "ticks": "", "automargin": True, "fixedrange": True}
    if heat.marks_diagonal:
        layout["yaxis"]["autorange"] = "reversed"
        layout["shapes"] = [_frame(heat.x.index(name), i) for i, name in enumerate(heat.y) if name in heat.x]
    return {"data": [trace], "layout": layout}


def surface_spec(heat: Heat) -> Spec | None:
    """The same map as a surface in three dimensions, if its axes are numbers."""
    if heat.numbers is None:
        return None
    x, y = list(heat.numbers[0]), list(heat.numbers[1])
    row, column = heat.best
    values = plain(heat.values_YX)
    surface: Spec = {
        **{"type": "surface", "x": x, "y": y, "z": values, "hovertext": _joined(heat), "hoverinfo": "text"},
        **{"colorscale": "Cividis", "reversescale": True, "showscale": False, "surfacecolor": plain(heat.colours_YX)},
    }
    star: Spec = {
        **{"type": "scatter3d", "mode": "markers+text", "x": [x[column]], "y": [y[row]], "z": [values[row][column]]},
        **{"text": [f"best: {heat.cells[row][column]}"], "textposition": "top center"},
        **{"marker": {"size": 6, "color": "#D55E00", "symbol": "diamond"}, "hoverinfo": "skip"},
    }
    titles = {"xaxis": heat.x_title, "yaxis": heat.y_title, "zaxis": heat.label}
    scene: Spec = {axis: {"title": {"text": title}} for axis, title in titles.items()}
    scene["xaxis"]["tickvals"], scene["xaxis"]["ticktext"] = x, list(heat.x)
    scene["camera"] = {"eye": {"x": 1.7, "y": -1.9, "z": 1.0}, "center": {"x": 0, "y": 0, "z": -0.2}}
    layout = {"font": FONT | {"color": INK}, "margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "scene": scene}
    return {"data": [surface, star], "layout": layout | {"showlegend": False, "paper_bgcolor": "rgba(0,0,0,0)"}}


def plain(values: np.ndarray) -> list[Any]:
    """Numbers for JSON, which has no NaN."""
    return [[v if math.isfinite(v) else None for v in line] for line in values.tolist()]


def _joined(heat: Heat) -> list[list[str]]:
    return [["<br>".join((f"<b>{told[0]}</b>", *told[1:])) for told in line] for line in heat.told]


def _traces(line: Line) -> list[Spec]:
    colour, texts = line.style.colour, ["<br>".join((f"<b>{told[0]}</b>", *told[1:])) for told in line.told]
    group = {"legendgroup": line.schedule, "name": line.schedule.replace("_", " "), "type": "scatter"}
    curve = {
        **{**group, "x": list(line.x), "y": list(line.mean), "hovertext": texts, "hoverinfo": "text"},
        **{"mode": "lines+markers", "line": {"color": colour, "width": 2, "dash": _dash(line.style.dash)}},
        "marker": {"color": colour, "size": 7, "symbol": line.style.marker},
    }
    return [*([_band(line, group)] if line.has_band else []), curve, *_star(line, group, texts)]


def _band(line: Line, group: Spec) -> Spec:
    return {
        **{**group, "x": [*line.x, *reversed(line.x)], "y": [*line.high, *reversed(line.low)], "mode": "lines"},
        **{"fill": "toself", "fillcolor": f"{line.style.colour}26", "line": {"width": 0}, "hoverinfo": "skip"},
    }


def _star(line: Line, group: Spec, texts: list[str]) -> list[Spec]:
    if line.best is None:
        return []
    marker = {"symbol": "star", "size": 15, "color": line.style.colour, "line": {"color": "#ffffff", "width": 1.2}}
    at = {"x": [line.x[line.best]], "y": [line.mean[line.best]], "hovertext": [texts[line.best]], "hoverinfo": "text"}
    return [{**group, **at, "mode": "markers", "marker": marker}]


def _floor(name: str, level: float, panel: Panel) -> Spec:
    low, high = panel.x_range
    return {
        **{"type": "scatter", "mode": "lines+text", "x": [low, high], "y": [level, level], "name": name},
        **{"line": {"color": FLOOR, "width": 1, "dash": "dot"}, "text": ["", f"{name}: {format_value(level)}"]},
        **{"textposition": "top left", "textfont": {"color": FLOOR, "size": 11}, "hoverinfo": "skip"},
    }


def _dash(lengths: str) -> str:
    return ",".join(f"{length}px" for length in lengths.split(",")) if lengths else "solid"


def _frame(column: int, row: int) -> Spec:
    box = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48, "y1": row + 0.48}
    return {"type": "rect", **box, "line": {"color": INK, "width": 1.5}, "fillcolor": "rgba(0,0,0,0)"}


def _axis(whole: tuple[float, float], ticks: list[float], *, is_log: bool) -> Spec:
    labels = {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
    if not is_log:
        return labels
    low, high = (math.log10(end) for end in whole)
    margin = MARGIN * (high - low) or 0.1
    return {**labels, "type": "log", "range": [low - margin, high + margin]}


def _layout(x_title: str, y_title: str) -> Spec:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": "#aab2bd", "ticks": "outside", "tickcolor": "#aab2bd"}
    return {
        **{"font": FONT | {"color": INK}, "showlegend": False, "hovermode": "closest", "dragmode": False},
        **{"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"},
        **{"margin": {"l": 48, "r": 10, "t": 8, "b": 42}, "hoverlabel": {"align": "left", "bgcolor": "#ffffff"}},
        "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}},
        "yaxis": {**axis, "title": {"text": y_title, "standoff": 6}, "automargin": True},
    }
