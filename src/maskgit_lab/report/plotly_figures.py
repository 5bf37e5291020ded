"""Panels and maps for Plotly, as the plain dictionaries that its JavaScript reads.

Their colours are those of a light page, which the page exchanges for darker surroundings.
`plotly.graph_objects.Figure` takes them too. They are made without that package's Python classes, whose checks would
take most of the time of a report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from maskgit_lab.report.level_lines import Level
from maskgit_lab.report.maps import Map
from maskgit_lab.report.panels import Line, Panel
from maskgit_lab.report.styles import AXIS, BEST, GRID, INK, LEVEL, PAPER, Style
from maskgit_lab.report.words import NONE, label

Spec = dict[str, Any]

CLEAR = "rgba(0,0,0,0)"
FONT = {
    "family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
    "size": 12,
    "color": INK,
}
CIVIDIS = {"colorscale": "Cividis", "reversescale": True, "showscale": False}
MARGIN = 0.04  # of an axis, at either end
ROOM = 0.06  # of an axis with a level, below and above what is drawn


def panel_spec(panel: Panel) -> Spec:
    """Lines with bands over seeds; each line's best point is a star."""
    data = [trace for level in panel.levels for trace in _level_traces(level, panel)]
    data += [trace for line in panel.lines for trace in _traces(line)]
    layout = axes_layout(panel.x_title, panel.metric.label)
    layout["xaxis"] |= ticks_at(panel.x_ticks) | (log_range(panel.x_range) if panel.is_log_x else {})
    if panel.is_log_y:
        layout["yaxis"] |= ticks_at(panel.y_ticks) | log_range(panel.y_range)
    elif (room := _linear_range(panel)) is not None:
        layout["yaxis"]["range"] = room
    return {"data": data, "layout": layout}


def map_spec(drawn: Map) -> Spec:
    """A map with its values written into the cells; the best cell has a star, and one that was not measured a dash."""
    row, column = drawn.best
    cells = [[cell.text.replace("\n", "<br>") for cell in line] for line in drawn.cells]
    cells[row][column] = f"<b>★ {cells[row][column]}</b>"
    trace: Spec = {"type": "heatmap", "x": list(drawn.x), "y": list(drawn.y), "z": _plain(drawn.colours_YX), **CIVIDIS}
    trace |= {"text": cells, "texttemplate": "%{text}", "hovertext": _hovertext(drawn), "hoverinfo": "text"}
    trace |= {"xgap": 2, "ygap": 2, "hoverongaps": False}
    layout = axes_layout(drawn.x_title, drawn.y_title)
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"type": "category", "showgrid": False, "ticks": "", "automargin": True, "fixedrange": True}
    if drawn.numbers is None:
        layout["yaxis"]["autorange"] = "reversed"
        layout["shapes"] = [_frame(drawn.x.index(name), i) for i, name in enumerate(drawn.y) if name in drawn.x]
    return {"data": [trace, *_dashes(drawn)], "layout": layout}


def surface_spec(drawn: Map) -> Spec | None:
    """The same map as a surface in three dimensions, if it can be drawn as one."""
    if drawn.numbers is None or not drawn.is_surface:
        return None
    x, y = (list(numbers) for numbers in drawn.numbers)
    row, column = drawn.best
    values = _plain(drawn.values_YX)
    surface: Spec = {
        "type": "surface",
        "x": x,
        "y": y,
        "z": values,
        "surfacecolor": _plain(drawn.colours_YX),
        **CIVIDIS,
    }
    surface |= {"hovertext": _hovertext(drawn), "hoverinfo": "text"}
    star: Spec = {"type": "scatter3d", "mode": "markers+text", "hoverinfo": "skip", "textposition": "top center"}
    star |= {
        "x": [x[column]],
        "y": [y[row]],
        "z": [values[row][column]],
        "text": [f"best: {drawn.cells[row][column].text}"],
    }
    star["marker"] = {"size": 6, "color": BEST, "symbol": "diamond"}
    titles = {"xaxis": drawn.x_title, "yaxis": drawn.y_title, "zaxis": drawn.value_title}
    look = {"gridcolor": GRID, "color": INK}
    scene: Spec = {axis: {**look, "title": {"text": title}} for axis, title in titles.items()}
    scene["xaxis"] |= {"tickvals": x, "ticktext": list(drawn.x)}
    scene["camera"] = {"eye": {"x": 1.7, "y": -1.9, "z": 1.0}, "center": {"x": 0, "y": 0, "z": -0.2}}
    layout = {"font": FONT, "margin": {"l": 0, "r": 0, "t": 0, "b": 0}, "scene": scene}
    return {"data": [surface, star], "layout": layout | {"showlegend": False, "paper_bgcolor": CLEAR}}


def _dashes(drawn: Map) -> list[Spec]:
    """Marks in the cells that were not measured."""
    holes = [(row, column) for row, column in np.argwhere(~np.isfinite(drawn.values_YX)).tolist()]
    if not holes:
        return []
    marks: Spec = {"type": "scatter", "mode": "text", "text": [NONE] * len(holes), "textfont": {"color": LEVEL}}
    marks |= {"x": [drawn.x[column] for _, column in holes], "y": [drawn.y[row] for row, _ in holes]}
    return [marks | {"hovertext": [_joined(drawn.cells[r][c].hover) for r, c in holes], "hoverinfo": "text"}]


def _plain(values_YX: np.ndarray) -> list[Any]:
    """Numbers for JSON, which has no NaN."""
    return [[value if math.isfinite(value) else None for value in row] for row in values_YX.tolist()]


def _joined(hover: Sequence[str]) -> str:
    return "<br>".join((f"<b>{hover[0]}</b>", *hover[1:]))


def _hovertext(drawn: Map) -> list[list[str]]:
    return [[_joined(cell.hover) for cell in row] for row in drawn.cells]


def _traces(line: Line) -> list[Spec]:
    """The band, the line and the star at its best point, as far as there are any."""
    curve, colour, texts = line.curve, line.style.colour, [_joined(hover) for hover in line.hover]
    x, mean, low, high = list(curve.x), curve.mean_X.tolist(), curve.low_X.tolist(), curve.high_X.tolist()
    group: Spec = {"legendgroup": curve.schedule, "name": label(curve.schedule), "type": "scatter"}
    traces: list[Spec] = []
    if curve.has_band:
        band = {
            "fill": "toself",
            "fillcolor": f"{colour}26",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "mode": "lines",
        }
        traces.append(group | band | {"x": x + x[::-1], "y": high + low[::-1]})
    look = {
        "line": {"color": colour, "width": 2, "dash": _dash(line.style)},
        "mode": "lines+markers",
        "hoverinfo": "text",
    }
    marker = {"color": colour, "size": 7, "symbol": line.style.marker}
    traces.append(group | look | {"x": x, "y": mean, "hovertext": texts, "marker": marker})
    if line.ringed:
        at = {key: [values[i] for i in line.ringed] for key, values in (("x", x), ("y", mean), ("hovertext", texts))}
        ring = {"symbol": "circle-open", "size": 14, "color": colour, "line": {"color": colour, "width": 1.5}}
        traces.append(group | at | {"hoverinfo": "text", "mode": "markers", "marker": ring})
    if line.best is not None:
        at = {key: [values[line.best]] for key, values in (("x", x), ("y", mean), ("hovertext", texts))}
        star = {"symbol": "star", "size": 15, "color": colour, "line": {"color": PAPER, "width": 1.2}}
        traces.append(group | at | {"hoverinfo": "text", "mode": "markers", "marker": star})
    return traces


def _level_traces(level: Level, panel: Panel) -> list[Spec]:
    """The line and its band, across the whole axis where T is on it; what they are is written below the title."""
    low, high = (10**end for end in log_range(panel.x_range)["range"]) if panel.is_log_x else panel.x_range
    shared: Spec = {"type": "scatter", "mode": "lines", "name": level.name, "hoverinfo": "skip"}
    line = {"color": level.style.colour, "width": 1.5, "dash": _dash(level.style)}
    traces = [shared | {"x": [low, high], "y": [level.value] * 2, "line": line}]
    if level.has_band:
        band: Spec = {"fill": "toself", "fillcolor": f"{level.style.colour}1f", "line": {"width": 0}}
        ends = {"x": [low, high, high, low], "y": [level.high, level.high, level.low, level.low]}
        traces.insert(0, shared | band | ends)
    return traces


def _dash(style: Style) -> str:
    return ",".join(f"{length}px" for length in style.dash.split(",")) if style.dash else "solid"


def _frame(column: int, row: int) -> Spec:
    box = {"x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48, "y1": row + 0.48}
    return {"type": "rect", **box, "line": {"color": INK, "width": 1.5}, "fillcolor": CLEAR}


def ticks_at(ticks: Sequence[float]) -> Spec:
    """An axis with these ticks."""
    return {"tickmode": "array", "tickvals": list(ticks), "ticktext": [f"{tick:g}" for tick in ticks]}


def log_range(ends: tuple[float, float]) -> Spec:
    """A logarithmic axis with margins."""
    low, high = (math.log10(end) for end in ends)
    margin = MARGIN * (high - low) or 0.1
    return {"type": "log", "range": [low - margin, high + margin]}


def _linear_range(panel: Panel) -> list[float] | None:
    """Around equal values, or with room around the levels; None: Plotly's own choice."""
    if panel.y_room is not None or not panel.levels:
        return None if panel.y_room is None else list(panel.y_room)
    low, high = panel.y_range
    return [low - ROOM * (high - low), high + ROOM * (high - low)]


def axes_layout(x_title: str, y_title: str) -> Spec:
    """A pair of axes as all figures have them."""
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": AXIS, "ticks": "outside", "tickcolor": AXIS}
    return {
        **{"font": FONT, "showlegend": False, "hovermode": "closest", "dragmode": False},
        **{"paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR},
        **{"margin": {"l": 48, "r": 10, "t": 8, "b": 42}, "hoverlabel": {"align": "left", "bgcolor": PAPER}},
        "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}},
        "yaxis": {**axis, "title": {"text": y_title, "standoff": 6}, "automargin": True},
    }
