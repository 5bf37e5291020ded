"""What a process of a sweep does: a command, as if it had been typed. Slow imports wait until it knows its place."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from maskgit_lab import lifeline


def run_job(command: Sequence[str], place: Path, environment: Mapping[str, str], log: Path) -> None:
    """Runs a command in a process of its own, like `python -m` does.

    Args:
        command: a module and its arguments.
        place: the working directory.
        environment: all of it.
        log: takes what it prints, after what is there.
    """
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    lifeline.hold()
    _redirect(log)
    _share_threads()
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def _redirect(log: Path) -> None:
    """Sends what this process and its children print to the end of a file."""
    with log.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    for printed in (sys.stdout, sys.stderr):
        printed.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _share_threads() -> None:
    """Torch reads OMP_NUM_THREADS when it is imported, which it may have been before this process was forked."""
    if "torch" in sys.modules and (threads := os.environ.get("OMP_NUM_THREADS")):
        sys.modules["torch"].set_num_threads(int(threads))
