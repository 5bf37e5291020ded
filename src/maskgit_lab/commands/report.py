"""`report.py`: curves, tables and figures of runs, as a page that opens from disk, and as files for papers."""

from __future__ import annotations

from pathlib import Path

from maskgit_lab.ablation.reading import find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.console import Terminal
from maskgit_lab.report.chapters import Report
from maskgit_lab.report.files import HTML, write_report
from maskgit_lab.settings import ReportConf


def run(settings: ReportConf) -> None:
    """Writes the report, and sends it to W&B too where that is asked for.

    Raises:
        UserError: there are no runs, or the report cannot be written or sent.
    """
    runs, terminal = find_runs(Path(settings.runs).expanduser()), Terminal()
    every = studies(runs)
    n_rows, n_studies = sum(len(run.rows) for run in runs), "1 study" if len(every) == 1 else f"{len(every)} studies"
    terminal.note("runs", f"{len(runs)} of them, {n_rows:,} rows, {n_studies}")
    out = Path(settings.out).expanduser()
    _print(terminal, write_report(runs, every, out, bootstrap=settings.bootstrap, seed=settings.seed))
    terminal.note("written", str(out / HTML))
    if settings.wandb.report:
        from maskgit_lab.report.wandb import publish  # slow to import, and rarely needed

        publish(every, settings.runs, settings.wandb.project, settings.wandb.entity, settings.wandb.group)


def _print(terminal: Terminal, report: Report) -> None:
    for chapter in report.chapters:
        terminal.say("")
        terminal.table(chapter.study.title, chapter.table.flat_head, chapter.table.rows)
        for text in (*chapter.order, *chapter.warnings):
            terminal.say(text)
    for text in report.faults:
        terminal.say(text)
