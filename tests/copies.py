"""Copies of what all tests share, where other tests may be working at the time."""

from __future__ import annotations

import shutil
from pathlib import Path

from maskgit_lab.runs import housekeeping, in_use
from maskgit_lab.runs.naming import LOCK

TRANSIENT = (LOCK, "*.lock", "*.partial", "*.now", in_use.FOLDER, housekeeping.SCORING)  # of the processes that work there


def copy_of(folder: Path, to: Path | str, *without: str) -> Path:
    """Copies a run or a cache without what other processes leave there while they work, and without names of files."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns(*TRANSIENT, *without)))
