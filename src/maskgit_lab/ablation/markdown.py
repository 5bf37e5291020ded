"""The report as Markdown, with the figures that lie beside it."""

from __future__ import annotations

from collections.abc import Sequence

from maskgit_lab.ablation.chapters import EDGE_NOTE, PAPER_NOTE, Chapter
from maskgit_lab.ablation.tables import Table


def render(
    title: str,
    opening: Sequence[str],
    faults: Sequence[str],
    chapters: Sequence[Chapter],
    loose: Table,
    files: dict[int, list[tuple[str, str]]],
) -> str:
    """The whole report.

    Args:
        title: of the report.
        opening: paragraphs before the studies.
        faults: what could not be read.
        chapters: of the studies.
        loose: images that no model at hand made.
        files: by the chapter's number: what a picture shows, and its path relative to the report.
    """
    parts = [f"# {title}", *(_text(text) for text in opening), _list(faults, "> **Note** ")]
    for chapter in chapters:
        parts += _study(chapter, files[chapter.number])
    if loose.rows:
        parts += ["## Images of other origin", "They have no T, and so no curve.", _table(loose)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _study(chapter: Chapter, files: Sequence[tuple[str, str]]) -> list[str]:
    apart = ", ".join(f"{key} {value}" for key, value in chapter.apart.rows)
    runs = ", ".join(f"`{name}`" for name in chapter.run_names)
    return [
        f"## {_text(chapter.study.title)}",
        _text(f"Apart from studies of the same title by: {apart}.") if apart else "",
        "\n".join(f"- **{_text(big)}**: {_text(small)}" for big, small in chapter.facts),
        _list(chapter.warnings, "> **Note** "),
        _text(chapter.reading),
        *(f"![{_text(name)}]({path})" for name, path in files),
        *("### In the form of the paper's Table 3", _table(chapter.table), PAPER_NOTE),
        "### The order of the schedules, here and in the paper",
        *(_text(text) for text in (*_orders(chapter), *chapter.order)),
        *("### Sweet spots: the best T of each schedule by each metric", _table(chapter.spots), EDGE_NOTE),
        *("### What each point was measured with", _table(chapter.settings), f"Runs: {runs}."),
    ]


def _orders(chapter: Chapter) -> list[str]:
    if chapter.ranking is None:
        return []
    orders = {"Here": chapter.ranking.our_order, "The paper": chapter.ranking.papers_order}
    return [
        f"{who}, the best first: {', '.join(name.replace('_', ' ') for name in order)}."
        for who, order in orders.items()
    ]


def _table(table: Table) -> str:
    head = table.flat_head
    rows = [[f"**{_text(cell)}**" if (r, c) in table.bold else _text(cell) for c, cell in enumerate(row)]
            for r, row in enumerate(table.rows)]  # fmt: skip
    lines = [[_text(cell) for cell in head], ["---" if i < table.n_texts else "---:" for i in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(texts: Sequence[str], mark: str) -> str:
    return "\n>\n".join(f"{mark}{_text(text)}" for text in texts)


def _text(text: str) -> str:
    """Without what Markdown would read as syntax: names of files and data may hold anything."""
    for sign in ("\\", "|", "*", "_", "<", "`", "["):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")
