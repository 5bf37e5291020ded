"""Writes the report of runs: one HTML page, and the same as Markdown, CSV, PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.edits import EditStudy, edit_names
from maskgit_lab.ablation.reading import Run, short_names
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.chapters import Chapter, Report, make_report
from maskgit_lab.report.csv_files import curves_csv, points_csv, table1_csv, table2_csv, table_csv, temperature_csv
from maskgit_lab.report.editing import EditChapter, draw_edits, edit_chapters
from maskgit_lab.report.matplotlib_figures import draw_map, draw_panels
from maskgit_lab.report.pages import html_page, markdown_page
from maskgit_lab.report.runtime import draw_runtime, runtime_chapters
from maskgit_lab.report.samples import Picture
from maskgit_lab.report.sentences import faults_of
from maskgit_lab.report.table1 import ModelsChapter
from maskgit_lab.report.tables import cost_table
from maskgit_lab.report.temperature import RING
from maskgit_lab.report.words import count, label
from maskgit_lab.runs.costs import costs_of
from maskgit_lab.runs.outputs import claimed_folder
from maskgit_lab.runs.results import Row

HTML, TABLE2 = "report.html", "table2.csv"
# What every report has.
FILES = ("points.csv", "curves.csv", "table.csv", "table1.csv", "temperature.csv", "report.md", HTML, "figures")
FOOTER = "<footer><p>The same as files beside this page:"  # by which the page of an earlier version is known


def write_report(
    runs: Sequence[Run],
    every: Sequence[Study],
    out: Path,
    *,
    bootstrap: int,
    seed: int,
    where: str = "",
    baselines: Sequence[Baseline] = (),
    timings: Sequence[Row] = (),
    edits: Sequence[EditStudy] = (),
) -> Report:
    """Writes everything into a folder, made if it is absent; files of an earlier report are replaced, others stay.

    Args:
        runs: all that were found.
        every: their studies.
        out: the folder.
        bootstrap: resamples of the intervals.
        seed: of the resamples.
        where: the conditions by which the rows were chosen; "": none.
        baselines: autoregressive models of the same runs.
        timings: rows of how long decoding takes.
        edits: studies of edits.

    Raises:
        UserError: the folder cannot be made, or has files of these names that no report wrote.
        OSError: a file cannot be written.
    """
    claimed_folder(out, [*FILES, *([TABLE2] if edits else [])], _of_earlier_version(out))
    names = short_names(runs) | edit_names(edits)
    report = make_report(runs, every, names, bootstrap=bootstrap, seed=seed, where=where, baselines=baselines)
    report = _with_times(report, timings)
    report = _with_edits(report, edit_chapters(edits, every, names, bootstrap=bootstrap, seed=seed), runs, names)
    for of_times in report.runtimes:
        draw_runtime(of_times, out / "figures" / of_times.key)
    figures = {chapter.number: _draw(chapter, out) for chapter in report.chapters}
    samples = {models.number: _save(models, out) for models in report.models}
    edited = {chapter.key: _save_edits(chapter, out) for chapter in report.edits}
    texts = {
        "points.csv": points_csv(every, runs, names, baselines, edits),
        "curves.csv": curves_csv(every, edits),
        "table.csv": table_csv(every),
        "table1.csv": table1_csv(report.models),
        "temperature.csv": temperature_csv(every),
        "report.md": markdown_page(report, figures, samples, edited),
        HTML: html_page(report),
    }
    texts |= {TABLE2: table2_csv(report.edits)} if report.edits else {}
    for name, text in texts.items():
        part = out / f".{name}.part"  # replaced in one step, so that nobody opens half a page
        part.write_text(text, encoding="utf-8")
        part.replace(out / name)
    return report


def _of_earlier_version(out: Path) -> Sequence[str]:
    """The files of a report that left no note of them: its page says that they are beside it."""
    try:
        page = (out / HTML).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ()
    return (*FILES, TABLE2) if FOOTER in page else ()


def _with_times(report: Report, timings: Sequence[Row]) -> Report:
    """With how long decoding takes; where there is nothing else, the page is of that."""
    if timings and not (report.chapters or report.models or report.external.rows):
        opening = f"{count(len(timings), 'cell')} of the runtime figure."
        report = replace(report, title="How long decoding takes", opening=opening)
    return replace(report, runtimes=runtime_chapters(timings))


def _with_edits(
    report: Report, chapters: Sequence[EditChapter], plain: Sequence[Run], names: Mapping[Path, str]
) -> Report:
    """With chapters of edits; where there is nothing else, the page is of them."""
    if not chapters:
        return report
    runs = {run.path: run for chapter in chapters for run in chapter.study.runs}
    cost = cost_table(costs_of([*(run.path for run in plain), *runs]))
    report = replace(report, edits=chapters, cost=cost, faults=[*report.faults, *faults_of([*runs.values()], names)])
    points = count(sum(chapter.n_points for chapter in chapters), "point")
    if report.chapters or report.models or report.external.rows:
        where = "a chapter" if len(chapters) == 1 else f"{len(chapters)} chapters"
        return replace(report, opening=f"{report.opening} {points} of edits: {where} of their own.")
    data = dict.fromkeys(chapter.study.data for chapter in chapters)
    opening = f"{points} of edits, of {count(len(runs), 'run')}, in {count(len(chapters), 'chapter')}."
    return replace(report, title=f"MaskGIT edits: {', '.join(data)}", opening=opening)


def _draw(chapter: Chapter, out: Path) -> list[tuple[str, str]]:
    """Draws the figures of a study; returns what each shows and its path relative to the report."""
    study, title = chapter.study, chapter.study.title
    name = _plain(f"{study.data}-{study.features}-{study.n_samples}")
    base = f"figures/{chapter.number}-{name[:60]}"
    files = [("Curves over T", draw_panels([*chapter.pair, *chapter.panels], title, out / base))]
    for knob, panels in chapter.knobs.items():
        files.append((label(knob).capitalize(), draw_panels(panels, title, out / f"{base}-{knob}")))
    if chapter.choices:
        what = f"Best T over the choice temperature. {RING}"
        files.append((what, draw_panels(chapter.choices, title, out / f"{base}-choice")))
    files += [(one.title, draw_map(one, title, out / f"{base}-{one.key}")) for one in chapter.maps]
    files += _pictures(chapter.pictures, out / f"{base}-samples")
    return [(text, path.relative_to(out).as_posix()) for text, path in files]


def _save(models: ModelsChapter, out: Path) -> list[tuple[str, str]]:
    """Saves the samples of baselines; returns what each shows and its path relative to the report."""
    files = _pictures(models.pictures, out / f"figures/table1-{models.number}-samples")
    return [(text, path.relative_to(out).as_posix()) for text, path in files]


def _save_edits(chapter: EditChapter, out: Path) -> list[tuple[str, str]]:
    """Draws the figures of edits, and saves pictures of them; returns what each shows and its path, likewise."""
    files = draw_edits(chapter, out)
    files += _pictures(chapter.pictures, out / f"figures/{chapter.key}-pictures", "Edits")
    return [(text, path.relative_to(out).as_posix()) for text, path in files]


def _pictures(pictures: Sequence[Picture], base: Path, what: str = "Samples") -> list[tuple[str, Path]]:
    files = []
    for picture in pictures:
        path = base.with_name(f"{base.name}-{_plain(picture.schedule)}.{picture.form}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.content)
        files.append((f"{what}: {picture.caption}", path))
    return files


def _plain(text: str) -> str:
    """A name of a file."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text)
