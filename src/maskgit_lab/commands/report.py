"""`report.py`: curves, tables and figures of runs, as a page that opens from disk, and as files for papers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from maskgit_lab.ablation.chapters import Chapter
from maskgit_lab.ablation.report import write_report
from maskgit_lab.ablation.runs import find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.commands.free_folder import made_folder
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError

MOST_RESAMPLES = 1_000_000


def run(cfg: DictConfig) -> None:
    """Writes the report, and sends it to W&B too where that is asked for."""
    if not 1 <= cfg.bootstrap <= MOST_RESAMPLES:
        raise UserError(f"bootstrap={cfg.bootstrap} is not possible: give a number of resamples from 1 to a million")
    if cfg.seed < 0:
        raise UserError(f"seed={cfg.seed} is not possible: give a whole number of at least 0")
    runs = find_runs(Path(cfg.runs).expanduser())
    every = studies(runs)
    terminal = Terminal()
    n_rows, apart = sum(len(run.rows) for run in runs), "1 study" if len(every) == 1 else f"{len(every)} studies"
    terminal.note("runs", f"{len(runs)} of them, {n_rows:,} rows, {apart}")
    written = write_report(runs, every, made_folder(Path(cfg.out).expanduser()), bootstrap=cfg.bootstrap, seed=cfg.seed)
    _say(terminal, written.chapters, written.faults)
    terminal.note("written", str(written.page))
    if cfg.wandb.report:
        from maskgit_lab.commands.wandb_report import publish  # slow to import, and rarely needed

        publish(cfg, every)


def _say(terminal: Terminal, chapters: Sequence[Chapter], faults: Sequence[str]) -> None:
    for chapter in chapters:
        terminal.say("")
        terminal.table(chapter.study.title, chapter.table.flat_head, chapter.table.rows)
        for text in (*chapter.order, *chapter.warnings):
            terminal.say(text)
    for text in faults:
        terminal.say(text)
