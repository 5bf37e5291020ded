"""What `sweeps=choose_temperature` ends with: the choices of its jobs, and that of a single run among the configs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from maskgit_lab import usage
from maskgit_lab.ablation.temperature import TEMPERATURE
from maskgit_lab.console import Terminal
from maskgit_lab.evaluation.chosen import MARK, choice_path, curve_path, read_choice, sentence_in
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.settings import EvaluateConf


def conclude(jobs: Sequence[EvaluateConf]) -> None:
    """Prints what was chosen for each run; the choice of a single run becomes an option of the group `decode`.

    Args:
        jobs: their settings.
    """
    terminal = Terminal()
    paths = {job.checkpoint: choice_path(RunFolder(Path(str(job.checkpoint)))) for job in jobs}
    paths = {checkpoint: path for checkpoint, path in paths.items() if path.is_file()}
    for checkpoint, path in paths.items():
        terminal.note("chosen", f"{checkpoint}: {sentence_in(path)}")
    if len(paths) == 1:
        _install(terminal, next(iter(paths.values())))
    elif paths:
        folders = {path.parents[2] for path in paths.values()}
        command = f"python evaluate.py sweeps=best_temperature sweep.runs={next(iter(folders))}"
        terminal.note("next", f"`{usage.as_typed(command)}` evaluates every run at the temperature of its schedule")


def _install(terminal: Terminal, path: Path) -> None:
    """Copies a choice and its curve to `conf/decode/`, or says how to use them."""
    place = usage.configs() / "conf" / "decode" / path.name
    own = f"copy {path} and {curve_path(path).name} beside it to conf/decode/ of the working folder for"
    why_not = _why_not(place)
    if why_not:
        terminal.note(
            "configs",
            f"{why_not}: {own} decode={path.stem}, or give decode.{TEMPERATURE}={read_choice(path):g} to any command",
        )
        return
    for source, target in ((path, place), (curve_path(path), curve_path(place))):
        target.write_bytes(source.read_bytes())
    terminal.note("configs", f"{place} has it, and {curve_path(place).name} its curve: give decode={place.stem}")


def _why_not(place: Path) -> str:
    """Why a choice cannot be kept there; "": it can."""
    if usage.configs() == usage.PACKAGE or not os.access(place.parent, os.W_OK):
        return "the configs are those of an installed package, which stay as they are"
    if place.exists() and not place.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        return f"{place} was not written by this command, and stays as it is"
    return ""
