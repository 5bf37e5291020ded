"""Writes the report of runs: one HTML page, and the same as Markdown, CSV, PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskgit_lab.ablation import markdown
from maskgit_lab.ablation.chapters import Chapter, chapters
from maskgit_lab.ablation.figures import draw_heat, draw_panels
from maskgit_lab.ablation.page import Page
from maskgit_lab.ablation.rows import loose_rows
from maskgit_lab.ablation.runs import Run, short_names
from maskgit_lab.ablation.sentences import count, faults_of
from maskgit_lab.ablation.studies import Study
from maskgit_lab.ablation.tables import curves_csv, loose_table, points_csv, table_csv

HTML, MARKDOWN = "report.html", "report.md"


@dataclass(frozen=True)
class Written:
    """What a report says, for those who look at it in a terminal.

    Args:
        page: the HTML file.
        chapters: of the studies.
        faults: what could not be read.
    """

    page: Path
    chapters: Sequence[Chapter]
    faults: Sequence[str]


def write_report(runs: Sequence[Run], every: Sequence[Study], out: Path, *, bootstrap: int, seed: int) -> Written:
    """Writes everything into a folder that exists; files of an earlier report are replaced, others stay.

    Args:
        runs: all that were found.
        every: their studies.
        out: the folder.
        bootstrap: resamples of the intervals.
        seed: of the resamples.

    Raises:
        OSError: a file cannot be written.
    """
    names = short_names(tuple(run.path.absolute() for run in runs))
    names = {run.path: names[run.path.absolute()] for run in runs}
    made = chapters(every, names, bootstrap=bootstrap, seed=seed)
    loose = loose_rows(runs)
    loose_cells = loose_table([(names[run.path], row) for run, row in loose])
    faults = faults_of(runs, names)
    title, opening = _title(every), [_opening(runs, every, len(loose))]
    files = {chapter.number: _draw(chapter, out) for chapter in made}
    _write(out / "points.csv", points_csv(every, loose, names))
    _write(out / "curves.csv", curves_csv(every))
    _write(out / "table.csv", table_csv(every))
    _write(out / MARKDOWN, markdown.render(title, opening, faults, made, loose_cells, files))
    _write(out / HTML, Page().render(title, opening, faults, made, loose_cells))
    return Written(out / HTML, made, faults)


def _title(every: Sequence[Study]) -> str:
    data = list(dict.fromkeys(study.data for study in every))
    return f"MaskGIT ablations: {', '.join(data)}" if data else "MaskGIT evaluations"


def _opening(runs: Sequence[Run], every: Sequence[Study], n_loose: int) -> str:
    points = sum(len(study.points) for study in every)
    said = f"{count(points, 'point')} of {count(sum(bool(run.rows) for run in runs), 'run')}"
    said += f" in {len(every)} studies" if len(every) > 1 else ""
    apart = " The points of a study were measured in the same way; those of different studies share no curve."
    loose = f" {count(n_loose, 'row')} of images of other origin stand at the end." if n_loose else ""
    return f"{said}.{apart if len(every) > 1 else ''}{loose}"


def _draw(chapter: Chapter, out: Path) -> list[tuple[str, str]]:
    """Draws the figures of a study; returns what each shows and where it lies."""
    base, title = out / "figures" / chapter.slug, chapter.study.title
    shown = [("Curves over T", draw_panels([*chapter.pair, *chapter.panels], title, base))]
    if chapter.guidance:
        shown.append(("Guidance", draw_panels(chapter.guidance, title, base.with_name(f"{base.name}-guidance"))))
    shown += [(heat.title, draw_heat(heat, title, base.with_name(f"{base.name}-{heat.key}"))) for heat in chapter.heats]
    files = [(name, paths[0]) for name, paths in shown]
    for tile, picture in chapter.pictures:
        path = base.with_name(f"{base.name}-samples-{tile.schedule}.{picture.form}")
        path.write_bytes(picture.content)
        files.append((f"Samples: {tile.caption}", path))
    return [(name, path.relative_to(out).as_posix()) for name, path in files]


def _write(path: Path, text: str) -> None:
    """In one step, so that nobody opens half a page."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
