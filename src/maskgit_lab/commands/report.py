"""`report.py`: curves, tables and figures of runs, as a page that opens from disk, and as files for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskgit_lab.ablation.reading import find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.commands.free_folder import made_folder
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.report.chapters import Report
from maskgit_lab.report.files import HTML, write_report

MOST_RESAMPLES = 1_000_000


def run(settings: Any) -> None:
    """Writes the report, and sends it to W&B too where that is asked for.

    Args:
        settings: `runs`, `out`, `bootstrap`, `seed`, and `wandb` with `report`, `project`, `entity` and `group`.

    Raises:
        UserError: a setting is not possible, there are no runs, or the report cannot be written or sent.
    """
    if not 1 <= settings.bootstrap <= MOST_RESAMPLES:
        raise UserError(
            f"bootstrap={settings.bootstrap} is not possible: give a number of resamples from 1 to a million"
        )
    if settings.seed < 0:
        raise UserError(f"seed={settings.seed} is not possible: give a whole number of at least 0")
    runs, terminal = find_runs(Path(settings.runs).expanduser()), Terminal()
    every = studies(runs)
    n_rows, n_studies = sum(len(run.rows) for run in runs), "1 study" if len(every) == 1 else f"{len(every)} studies"
    terminal.note("runs", f"{len(runs)} of them, {n_rows:,} rows, {n_studies}")
    out = made_folder(Path(settings.out).expanduser())
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
