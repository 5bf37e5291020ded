"""Copies of what all tests share, where other tests may be working at the time."""

from __future__ import annotations

import shutil
from pathlib import Path

from maskgit_lab.runs import in_use
from maskgit_lab.runs.naming import LOCK
from maskgit_lab.runs.store import SCORING

# What processes leave while they work.
TRANSIENT = (LOCK, "*.lock", "*.partial", "*.now", in_use.FOLDER, SCORING)


def copy_of(folder: Path, to: Path | str, *without: str) -> Path:
    """Copies a run or a cache without what other processes leave there while they work, and without names of files."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns(*TRANSIENT, *without)))
