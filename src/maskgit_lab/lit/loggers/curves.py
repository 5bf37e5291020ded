"""The curves of a run over T as a Plotly figure: W&B's own panels start with a linear axis, whatever is logged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskgit_lab.metrics import registry
from maskgit_lab.runs.results import FLOORS, Row, is_floor

COLUMNS = 3
PANEL_HEIGHT = 260  # pixels


def curves_over_steps(rows: Sequence[Row]) -> Any:
    """A panel for each metric that can be better or worse, over T on a logarithmic axis; None for points without T.

    Horizontal lines are of held-out images and of their reconstructions, where there are as many as samples.
    """
    from plotly import graph_objects  # type: ignore[import-untyped]  # slow, and needed once, at the end of a run
    from plotly.subplots import make_subplots  # type: ignore[import-untyped]

    drawn = [row for row in sorted(rows, key=lambda row: row.get("steps", 0)) if "steps" in row]
    metrics = [metric for metric in registry.of_rows(drawn) if metric.better is not None]
    if not drawn or not metrics:
        return None
    n_rows = -(-len(metrics) // COLUMNS)
    titles = [f"{metric.label} ({'lower' if metric.better == 'min' else 'higher'} is better)" for metric in metrics]
    figure = make_subplots(n_rows, COLUMNS, subplot_titles=titles)
    for i, metric in enumerate(metrics):
        row, column = divmod(i, COLUMNS)
        points = [(each["steps"], each[metric.key]) for each in drawn if metric.key in each]
        x, y = zip(*points, strict=True)
        line = graph_objects.Scatter(x=x, y=y, mode="lines+markers", name=metric.label, showlegend=False)
        figure.add_trace(line, row + 1, column + 1)
        for floor in (each for each in rows if is_floor(each) and _is_alike(each, drawn[0]) and metric.key in each):
            note = {"annotation_text": FLOORS[floor["source"]], "annotation_font_size": 9}
            figure.add_hline(floor[metric.key], line_dash="dot", line_width=1, row=row + 1, col=column + 1, **note)
    steps = [row["steps"] for row in drawn]
    figure.update_xaxes(type="log", tickvals=steps, ticktext=[str(t) for t in steps], title="decoding steps T")
    return figure.update_layout(height=PANEL_HEIGHT * n_rows, template="plotly_white", margin={"t": 40})


def _is_alike(floor: Row, samples: Row) -> bool:
    """Whether a row is of as many images as another."""
    return bool(floor["n_samples"] == samples["n_samples"])
