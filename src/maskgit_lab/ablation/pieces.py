"""Pieces of the HTML page: tables, warnings, legends, and the two orders of schedules side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from maskgit_lab.ablation.ranking import Ranking
from maskgit_lab.ablation.styles import Style, in_order, spoken, styles
from maskgit_lab.ablation.tables import Table

# Outlines within a box from -5 to 5, by the names of Plotly's markers.
OUTLINES = {
    "circle": '<circle r="4"/>',
    "square": '<rect x="-3.7" y="-3.7" width="7.4" height="7.4"/>',
    "diamond": '<path d="M0-5L5 0L0 5L-5 0Z"/>',
    "triangle-up": '<path d="M0-4.6L4.6 3.6H-4.6Z"/>',
    "triangle-down": '<path d="M0 4.6L4.6-3.6H-4.6Z"/>',
    "pentagon": '<path d="M0-4.6L4.4-1.4L2.7 3.7H-2.7L-4.4-1.4Z"/>',
    "hexagon": '<path d="M-2.4-4.2H2.4L4.8 0L2.4 4.2H-2.4L-4.8 0Z"/>',
    "star": '<path d="M0-5L1.4-1.6L5-1.5L2.2.8L3.1 4.3L0 2.3L-3.1 4.3L-2.2.8L-5-1.5L-1.4-1.6Z"/>',
    "cross": '<path d="M-1.5-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z"/>',
    "x": '<path d="M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5" stroke-width="2.6"/>',
}
ROW, TOP, WIDTH, LEFT, RIGHT = 30, 34, 520, 178, 342  # of the chart of ranks, in its own units


def table_html(table: Table) -> str:
    """A table in a box of its own that scrolls where the screen is too narrow."""
    groups = "".join(f'<th colspan="{n}"{_kind(i, table)}>{escape(name)}</th>' for i, name, n in _placed(table))
    head = "".join(f"<th{_kind(i, table)}>{escape(name)}</th>" for i, name in enumerate(table.head))
    rows = "".join(f"<tr>{_cells(table, r)}</tr>" for r in range(len(table.rows)))
    above = f'<tr class="groups">{groups}</tr>' if groups else ""
    return f'<div class="scroll"><table><thead>{above}<tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def settings_html(table: Table) -> str:
    """Keys and values, in as many columns as there is room for."""
    pairs = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in table.rows)
    return f'<dl class="settings">{pairs}</dl>'


def warnings_html(texts: Sequence[str]) -> str:
    """A list that stands out; nothing if there is nothing to say."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="warnings">{items}</ul>' if texts else ""


def legend_html(schedules: Iterable[str]) -> str:
    """Buttons that switch the schedules of a study on and off in all its figures."""
    looks = styles(schedules)
    buttons = "".join(
        f'<button type="button" data-schedule="{escape(name)}" aria-pressed="true">{_swatch(looks[name])}'
        f"{escape(spoken(name))}</button>"
        for name in in_order(looks)
    )
    return f'<div class="legend" role="group" aria-label="Schedules: press to show or hide">{buttons}</div>'


def ranks_html(ranking: Ranking, label: str) -> str:
    """Both orders, the best on top, with a line from each schedule's place here to its place in the paper."""
    n, looks = len(ranking.schedules), styles(ranking.schedules)
    lines = "".join(
        _rank_line(looks[name], ranking.our_order.index(name), ranking.papers_order.index(name))
        for name in ranking.schedules
    )
    ours, papers = (dict(zip(ranking.schedules, values, strict=True)) for values in (ranking.ours, ranking.papers))
    names = _rank_names(ranking.our_order, ours, LEFT - 14, "end") + _rank_names(
        ranking.papers_order, papers, RIGHT + 14, "start"
    )
    heads = f'<text x="{LEFT - 14}" y="14" text-anchor="end" class="h">here, by {label}</text>'
    heads += f'<text x="{RIGHT + 14}" y="14" class="h">the paper, by FID</text>'
    return (
        f'<svg class="ranks" viewBox="0 0 {WIDTH} {TOP + n * ROW}" role="img" font-size="14" fill="currentColor" '
        f'aria-label="The order of the schedules here and in the paper">{heads}{lines}{names}</svg>'
    )


def _rank_line(style: Style, ours: int, papers: int) -> str:
    y0, y1 = (TOP + place * ROW + ROW / 2 - 5 for place in (ours, papers))
    ends = f'<g stroke="{style.colour}">{_marker(style, LEFT, y0)}{_marker(style, RIGHT, y1)}</g>'
    dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    middle = (LEFT + RIGHT) / 2
    path = f"M{LEFT} {y0}C{middle} {y0} {middle} {y1} {RIGHT} {y1}"
    return f'<path d="{path}" fill="none" stroke="{style.colour}" stroke-width="2.2"{dash}/>{ends}'


def _rank_names(order: Sequence[str], values: Mapping[str, float], x: int, anchor: str) -> str:
    return "".join(
        f'<text x="{x}" y="{TOP + place * ROW + ROW / 2}" text-anchor="{anchor}">{escape(spoken(name))} '
        f'<tspan fill="#5a6575" font-size="12">{values[name]:.3g}</tspan></text>'
        for place, name in enumerate(order)
    )


def _swatch(style: Style) -> str:
    dash = f' stroke-dasharray="{style.dash}"' if style.dash else ""
    line = f'<path d="M1 7H33" stroke-width="2.2"{dash}/>'
    return f'<svg width="34" height="14" stroke="{style.colour}" aria-hidden="true">{line}{_marker(style, 17, 7)}</svg>'


def _marker(style: Style, x: float, y: float) -> str:
    return f'<g transform="translate({x} {y})" fill="{style.colour}">{OUTLINES[style.marker]}</g>'


def _placed(table: Table) -> list[tuple[int, str, int]]:
    """Titles over the columns, with the first column that each covers."""
    starts = [sum(n for _, n in table.groups[:i]) for i in range(len(table.groups))]
    return [(start, name, n) for start, (name, n) in zip(starts, table.groups, strict=True)]


def _kind(column: int, table: Table) -> str:
    starts = {start for start, _, _ in _placed(table) if start > 0}
    kinds = [name for name, holds in (("start", column in starts), ("word", column < table.n_texts)) if holds]
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _cells(table: Table, row: int) -> str:
    cells = []
    for column, text in enumerate(table.rows[row]):
        said = f"<b>{escape(text)}</b>" if (row, column) in table.bold else escape(text)
        cells.append(f"<td{_kind(column, table)}>{said}</td>")
    return "".join(cells)
