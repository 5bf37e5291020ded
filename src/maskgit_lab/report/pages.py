"""The report as one HTML page that needs nothing else, and as Markdown; the text is in `templates/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from maskgit_lab.ablation.published import table3
from maskgit_lab.report.chapters import Chapter, Report
from maskgit_lab.report.editing import ABOUT_OVERVIEW, ORDER, OVERVIEW, overview
from maskgit_lab.report.levels import how_to_read
from maskgit_lab.report.maps import Map
from maskgit_lab.report.panels import Panel
from maskgit_lab.report.plotly_figures import map_spec, panel_spec, surface_spec
from maskgit_lab.report.runtime import runtime_specs
from maskgit_lab.report.sentences import facts
from maskgit_lab.report.styles import DARK, styles
from maskgit_lab.report.table1 import DIFFERENCE, TITLE
from maskgit_lab.report.tables import Table, pairs_table, settings_table, sweet_spots
from maskgit_lab.report.words import EDGE_NOTE, count, label

Figures = Mapping[int, Sequence[tuple[str, str]]]  # by a chapter's number, what each shows and its path
FiguresOfEdits = Mapping[str, Sequence[tuple[str, str]]]
# The browser itself then refuses any request; Plotly's surfaces compile their drawing code.
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "font-src data:"
)
PAPER_NOTE = (
    "The paper's numbers are of ImageNet 256 x 256 with 50,000 samples. NLL is in nats per token, each schedule "
    "under its own masks; the paper's tokens are others than those here. The NLL bound is under the same masks for all "
    "schedules, and bounds the negative log-likelihood of the codes: lower is better, on the same tokenizer."
)
COST_NOTE = (
    "Over all commands and processes of these runs. What a run found in the cache is in the costs of the run that made "
    "it, and counts once; images are those trained on (again in each epoch), encoded and sampled."
)
# Outlines within a box from -5 to 5, by the names of Plotly's markers.
OUTLINES = {
    "circle": Markup('<circle r="4"/>'),
    "square": Markup('<rect x="-3.7" y="-3.7" width="7.4" height="7.4"/>'),
    "diamond": Markup('<path d="M0-5L5 0L0 5L-5 0Z"/>'),
    "triangle-up": Markup('<path d="M0-4.6L4.6 3.6H-4.6Z"/>'),
    "triangle-down": Markup('<path d="M0 4.6L4.6-3.6H-4.6Z"/>'),
    "pentagon": Markup('<path d="M0-4.6L4.4-1.4L2.7 3.7H-2.7L-4.4-1.4Z"/>'),
    "hexagon": Markup('<path d="M-2.4-4.2H2.4L4.8 0L2.4 4.2H-2.4L-4.8 0Z"/>'),
    "star": Markup('<path d="M0-5L1.4-1.6L5-1.5L2.2.8L3.1 4.3L0 2.3L-3.1 4.3L-2.2.8L-5-1.5L-1.4-1.6Z"/>'),
    "cross": Markup('<path d="M-1.5-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z"/>'),
    "x": Markup('<path d="M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5" stroke-width="2.6"/>'),
}


def html_page(report: Report) -> str:
    """The whole report; styles, scripts, figures and pictures are inside it."""
    return _ENVIRONMENT.get_template("report.html.j2").render(
        report=report,
        policy=POLICY,
        css=_asset("report.css"),
        script=_asset("report.js"),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
        specs={name: spec for chapter in report.chapters for name, spec in _specs(chapter).items()}
        | {name: spec for one in report.edits for name, spec in _placed(one.key, one.panels, one.maps).items()}
        | {name: spec for chapter in report.runtimes for name, spec in runtime_specs(chapter).items()},
    )


def markdown_page(
    report: Report, figures: Figures, samples: Figures | None = None, edited: FiguresOfEdits | None = None
) -> str:
    """The whole report, with pictures that lie beside it.

    Args:
        report: its contents.
        figures: of the studies; paths are relative to the report.
        samples: the same of the chapters in the form of Table 1; None: no pictures there.
        edited: the same of the chapters of edits, by their keys.
    """
    template = _ENVIRONMENT.get_template("report.md.j2")
    pictures = {"figures": figures, "samples": samples or {}, "edited": edited or {}}
    return template.render(report=report, **pictures).strip() + "\n"


def markdown_table(table: Table) -> str:
    """A table as Markdown."""
    macros: Any = _ENVIRONMENT.get_template("macros.md.j2").module
    return str(macros.table(table)).strip()


def escape_markdown(text: object) -> str:
    """Text without what Markdown would read as syntax: names of files and data may hold anything."""
    return re.sub(r"([\\|*_<`\[])", r"\\\1", str(text)).replace("\n", " ")


def breakable(text: str) -> Markup:
    """A name that a narrow column may break after an underscore."""
    return Markup("_<wbr>").join(text.split("_"))


def _specs(chapter: Chapter) -> dict[str, Any]:
    """The figures of a chapter for Plotly, by the ids of their places."""
    panels = [*chapter.pair, *chapter.panels, *(panel for several in chapter.knobs.values() for panel in several)]
    return _placed(f"study-{chapter.number}", [*panels, *chapter.choices], chapter.maps)


def _placed(anchor: str, panels: Iterable[Panel], maps: Iterable[Map]) -> dict[str, Any]:
    specs: dict[str, Any] = {panel.key: panel_spec(panel) for panel in panels}
    for drawn in maps:
        surfaces = {f"{drawn.key}-surface": surface} if (surface := surface_spec(drawn)) else {}
        specs |= {drawn.key: map_spec(drawn), **surfaces}
    return {f"{anchor}-{key}": spec for key, spec in specs.items()}


def _asset(name: str) -> Markup:
    return Markup(_ENVIRONMENT.loader.get_source(_ENVIRONMENT, name)[0]) if _ENVIRONMENT.loader else Markup()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("maskgit_lab.report"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {"label": label, "count": count, "md": escape_markdown, "breakable": breakable}
    for used in (facts, how_to_read, pairs_table, settings_table, styles, sweet_spots, table3, overview):
        environment.globals[used.__name__] = used
    environment.globals |= {
        "OUTLINES": OUTLINES,
        "EDGE_NOTE": EDGE_NOTE,
        "PAPER_NOTE": PAPER_NOTE,
        "COST_NOTE": COST_NOTE,
        "DARK": DARK,
        "TABLE_1": TITLE,
        "ORDER": ORDER,
        "OVERVIEW": OVERVIEW,
        "ABOUT_OVERVIEW": ABOUT_OVERVIEW,
        "DIFFERENCE": DIFFERENCE,
    }
    return environment


_ENVIRONMENT = _environment()
