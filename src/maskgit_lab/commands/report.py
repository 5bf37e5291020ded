"""`report.py`: curves, tables and figures of runs, as a page that opens from disk, and as files for papers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.baselines import baselines
from maskgit_lab.ablation.conditions import Conditions
from maskgit_lab.ablation.edits import EditStudy, edit_studies, find_edits
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import Run, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.console import Terminal
from maskgit_lab.report.chapters import Report
from maskgit_lab.report.editing import say_edits
from maskgit_lab.report.files import HTML, write_report
from maskgit_lab.report.runtime import say_runtime
from maskgit_lab.report.table1 import DIFFERENCE, TITLE
from maskgit_lab.report.words import count
from maskgit_lab.runs.timings import Timings, find_timings
from maskgit_lab.settings import ReportConf


def run(settings: ReportConf) -> None:
    """Writes the report, and sends it to W&B too where that is asked for.

    Raises:
        UserError: there are no runs, or none that meet the conditions, or the report cannot be written or sent.
    """
    folder, terminal = Path(settings.runs), Terminal()
    timings = [row for path in find_timings(folder) for row in Timings(path).rows()]
    edited = find_edits(folder)
    found = [*find_runs(folder, least=0 if timings or any(run.edits for run in edited) else 1), *edited]
    conditions = None if settings.where is None else Conditions.read(settings.where)
    origins = Origins.of(found)
    chosen = found if conditions is None else conditions.chosen(found, origins)
    runs = [run for run in chosen if not run.holds_edits]
    every, known, where = studies(runs, origins), baselines(runs, origins), str(conditions or "")
    edits = edit_studies([run for run in chosen if run.holds_edits], origins)
    terminal.note("runs", _about(runs, every, known))
    if edits:
        terminal.note("edits", _about_edits(edits))
    if where:
        terminal.note("where", f"{where}: {_rows(chosen):,} of {_rows(found):,} rows")
    out = Path(settings.out)
    options = {"bootstrap": settings.bootstrap, "seed": settings.seed}
    report = write_report(runs, every, out, **options, where=where, baselines=known, timings=timings, edits=edits)
    _print(terminal, report)
    terminal.note("written", str(out / HTML))
    if settings.wandb.report:
        from maskgit_lab.report.wandb import publish  # slow to import, and rarely needed

        publish(report, settings.runs, settings.wandb.project, settings.wandb.entity, settings.wandb.group, where)


def _about(runs: Sequence[Run], every: Sequence[Study], known: Sequence[Baseline]) -> str:
    n_studies = "1 study" if len(every) == 1 else f"{len(every)} studies"
    n_baselines = ", 1 baseline" if len(known) == 1 else f", {len(known)} baselines" if known else ""
    return f"{len(runs)} of them, {_rows(runs):,} rows, {n_studies}{n_baselines}"


def _about_edits(edits: Sequence[EditStudy]) -> str:
    points = sum(len(study.points) + len(study.in_random_order) for study in edits)
    n_runs = len({run.path for study in edits for run in study.runs})
    return f"{count(points, 'point')} of {count(n_runs, 'run')}, {count(len(edits), 'chapter')}"


def _rows(runs: Sequence[Run]) -> int:
    return sum(len(run.rows) for run in runs)


def _print(terminal: Terminal, report: Report) -> None:
    for chapter in report.chapters:
        terminal.say("")
        table = chapter.table
        terminal.table(chapter.study.title, table.flat_head, table.rows, n_texts=table.n_texts)
        for text in (*chapter.notes, *chapter.order, *chapter.warnings):
            terminal.say(text)
    _print_models(terminal, report)
    say_edits(report.edits, terminal)
    for runtime in report.runtimes:
        say_runtime(runtime, terminal)
    for text in report.faults:
        terminal.say(text)
    if report.cost.rows:
        terminal.table("What these runs have cost", report.cost.flat_head, report.cost.rows, n_texts=1)


def _print_models(terminal: Terminal, report: Report) -> None:
    for models in report.models:
        terminal.table(f"{TITLE}: {models.title}", models.table.flat_head, models.table.rows, n_texts=2)
        if models.differences.rows:
            terminal.table(DIFFERENCE, models.differences.flat_head, models.differences.rows, n_texts=1)
        for text in (*models.notes, *models.about_differences, *models.warnings):
            terminal.say(text)
