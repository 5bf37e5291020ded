"""The report as one HTML page that needs nothing else: styles, scripts, figures and pictures are inside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from maskgit_lab.ablation.chapters import EDGE_NOTE, PAPER_NOTE, Chapter
from maskgit_lab.ablation.heats import Heat
from maskgit_lab.ablation.panels import Panel
from maskgit_lab.ablation.pieces import legend_html, ranks_html, settings_html, table_html, warnings_html
from maskgit_lab.ablation.plots import heat_spec, panel_spec, surface_spec
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.sentences import count
from maskgit_lab.ablation.tables import Table
from maskgit_lab.ablation.tiles import Encoded, Tile

# The browser itself then refuses any request; Plotly's surfaces compile their drawing code.
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "font-src data:"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<header><h1>{title}</h1>{opening}</header>
<main>{studies}</main>
<footer>{closing}</footer>
<script>{plotly}</script>
<script type="application/json" id="figures">{figures}</script>
<script>{script}</script>
</body>
</html>
"""


class Page:
    """Collects the figures of a page while its text is made."""

    def __init__(self) -> None:
        self.specs: dict[str, Any] = {}

    def render(
        self, title: str, opening: Sequence[str], faults: Sequence[str], chapters: Sequence[Chapter], loose: Table
    ) -> str:
        """The whole page.

        Args:
            title: of the report.
            opening: paragraphs before the studies.
            faults: what could not be read.
            chapters: of the studies.
            loose: images that no model at hand made.
        """
        studies = "".join(self._study(chapter) for chapter in chapters) + _loose(loose)
        contents = "".join(
            f'<li><a href="#{c.anchor}">{escape(c.study.title)}</a>, {count(len(c.study.points), "point")}</li>'
            for c in chapters
        )
        opened = "".join(_paragraph(text) for text in opening) + warnings_html(faults)
        opened += f'<ol class="contents">{contents}</ol>' if len(chapters) > 1 else ""
        return PAGE.format(
            policy=POLICY,
            title=escape(title),
            css=_asset("page.css"),
            opening=opened,
            studies=studies,
            closing="<p>The same as files beside this page: report.md, table.csv, curves.csv, points.csv, figures.</p>",
            plotly=get_plotlyjs().replace("</script", "<\\/script"),
            figures=json.dumps(self.specs, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
            script=_asset("page.js"),
        )

    def _study(self, chapter: Chapter) -> str:
        parts = (
            f"<h2>{escape(chapter.study.title)}</h2>",
            _apart(chapter),
            _facts(chapter),
            warnings_html(chapter.warnings),
            self._curves(chapter),
            _table3(chapter),
            _order(chapter),
            _spots(chapter),
            self._heats(chapter),
            _pictures(chapter),
            _measured_with(chapter),
        )
        return f'<section class="study" id="{chapter.anchor}">{"".join(parts)}</section>'

    def _curves(self, chapter: Chapter) -> str:
        schedules = {*table3(), *(str(point.row["schedule"]) for point in chapter.study.points)}
        return (
            f"<h3>Curves over T</h3>{_paragraph(chapter.reading, soft=True)}<div>{legend_html(schedules)}"
            f'<div class="plots pair">{self._panels(chapter, chapter.pair)}</div>'
            f"{_small(chapter.panels)}{self._panels(chapter, chapter.panels)}</div>{self._guidance(chapter)}</div>"
        )

    def _heats(self, chapter: Chapter) -> str:
        figures = "".join(self._heat(chapter, heat) for heat in chapter.heats)
        return f'<h3>Maps of the distance</h3><div class="plots pair">{figures}</div>' if figures else ""

    def _guidance(self, chapter: Chapter) -> str:
        figures = self._panels(chapter, chapter.guidance)
        return f"<h3>Guidance</h3>{_small(chapter.guidance)}{figures}</div>" if figures else ""

    def _panels(self, chapter: Chapter, panels: Sequence[Panel]) -> str:
        names = [f"{chapter.anchor}-{panel.key}" for panel in panels]
        self.specs |= {name: panel_spec(panel) for name, panel in zip(names, panels, strict=True)}
        return "".join(_figure(name, panel.title, panel.note) for name, panel in zip(names, panels, strict=True))

    def _heat(self, chapter: Chapter, heat: Heat) -> str:
        name = f"{chapter.anchor}-{heat.key}"
        self.specs[name] = heat_spec(heat)
        surface = surface_spec(heat)
        if surface is None:
            return _figure(name, heat.title, heat.sentence)
        self.specs[f"{name}-surface"] = surface
        button = f'<button type="button" class="switch" data-other="{name}-surface">as a surface</button>'
        return _figure(name, heat.title, heat.sentence, button)


def _small(panels: Sequence[Panel]) -> str:
    """Four in a row of a wide screen, or three where that leaves fewer gaps."""
    return f'<div class="plots{"" if len(panels) in (1, 2, 4, 7, 8) else " thirds"}">'


def _figure(name: str, title: str, note: str, button: str = "") -> str:
    caption = f"<figcaption>{button}<h4>{escape(title)}</h4><p>{escape(note)}</p></figcaption>"
    label = f'role="img" aria-label="{escape(title)}"'
    return f'<figure>{caption}<div class="plot" id="{name}" data-figure="{name}" {label}></div></figure>'


def _apart(chapter: Chapter) -> str:
    if not chapter.apart.rows:
        return ""
    summary = f"{len(chapter.apart.rows)} settings set it apart from studies of the same title"
    return f"<details><summary>{summary}</summary>{settings_html(chapter.apart)}</details>"


def _facts(chapter: Chapter) -> str:
    facts = "".join(
        f'<div class="fact"><b>{escape(big)}</b><span>{escape(small)}</span></div>' for big, small in chapter.facts
    )
    return f'<div class="facts">{facts}</div>'


def _table3(chapter: Chapter) -> str:
    note = _paragraph(f"{PAPER_NOTE} Bold: the best of a column.", soft=True)
    return f"<h3>In the form of the paper's Table 3</h3>{table_html(chapter.table)}{note}"


def _order(chapter: Chapter) -> str:
    chart = ranks_html(chapter.ranking, chapter.study.distance_label) if chapter.ranking else ""
    told = "".join(_paragraph(text) for text in chapter.order)
    return f"<h3>The order of the schedules, here and in the paper</h3>{chart}{told}"


def _spots(chapter: Chapter) -> str:
    note = _paragraph(f"T, and the value there, mean over seeds. {EDGE_NOTE}", soft=True)
    return f"<h3>Sweet spots: the best T of each schedule by each metric</h3>{table_html(chapter.spots)}{note}"


def _pictures(chapter: Chapter) -> str:
    figures = "".join(_picture(tile, picture) for tile, picture in chapter.pictures)
    note = _paragraph(
        "Each schedule at its best T, if its grids are there; a row is a class. A press makes a picture large.",
        soft=True,
    )
    return f'<h3>Samples</h3>{note}<div class="tiles">{figures}</div>' if figures else ""


def _picture(tile: Tile, picture: Encoded) -> str:
    width, height = picture.size
    source = f"data:image/{picture.form};base64,{base64.b64encode(picture.content).decode()}"
    kind = ' class="pixels"' if picture.is_small else ""
    image = f'<img{kind} loading="lazy" width="{width}" height="{height}" alt="{escape(tile.caption)}" src="{source}">'
    return f"<figure>{image}<figcaption>{escape(tile.caption)}</figcaption></figure>"


def _measured_with(chapter: Chapter) -> str:
    runs = "".join(f"<li>{escape(name)}</li>" for name in chapter.run_names)
    n = count(len(chapter.run_names), "run")
    training = f"<details><summary>How the models were trained</summary>{settings_html(chapter.training)}</details>"
    return (
        f"<h3>What each point was measured with</h3>{settings_html(chapter.settings)}"
        f"{training if chapter.training.rows else ''}<details><summary>{n}</summary><ul>{runs}</ul></details>"
    )


def _loose(table: Table) -> str:
    if not table.rows:
        return ""
    note = _paragraph("They have no T, and so no curve.", soft=True)
    return f'<section class="study" id="loose"><h2>Images of other origin</h2>{note}{table_html(table)}</section>'


def _paragraph(text: str, *, soft: bool = False) -> str:
    kind = ' class="soft"' if soft else ""
    return f"<p{kind}>{escape(text)}</p>"


def _asset(name: str) -> str:
    return resources.files("maskgit_lab.ablation").joinpath("assets", name).read_text(encoding="utf-8")
