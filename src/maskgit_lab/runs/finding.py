"""Finding runs: every folder of a run below some folders, as the report, `clean.py` and sweeps look for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from maskgit_lab.errors import UserError
from maskgit_lab.paths import is_of_system
from maskgit_lab.runs.names import CHECKPOINTS, COSTS, EDITING, RUNTIME, TEMPERATURE

MOST_FOLDERS = 50_000  # that are looked into: some seconds
EVALUATION = "evaluation"  # the folder of points that are not finished
# Folders in a run, which hold no runs.
INSIDE = {CHECKPOINTS, COSTS, EVALUATION, "pictures", "grids", "samples", "wandb", TEMPERATURE, RUNTIME, EDITING}


def run_folders(
    folders: Iterable[Path],
    is_run: Callable[[Collection[str]], bool],
    *,
    hidden: bool = True,
    on_error: Callable[[OSError], object] | None = None,
) -> Iterator[Path]:
    """Every run at any depth; links are followed, since runs may lie on several disks, but no folder is visited twice.

    Args:
        folders: where to look.
        is_run: whether a folder with these files is a run. Runs may lie inside of others.
        hidden: whether to look into folders whose names start with a dot.
        on_error: is called for a folder that cannot be read.

    Raises:
        UserError: there are far more folders than runs can be.
    """
    seen = set()
    for folder in folders:
        for place, below, files in os.walk(folder, followlinks=True, onerror=on_error):
            real = os.path.realpath(place)
            if real in seen or is_of_system(real):
                below.clear()
                continue
            seen.add(real)
            if len(seen) > MOST_FOLDERS:
                raise UserError(
                    f"{folder} has more than {MOST_FOLDERS:,} folders in it: name a folder that holds runs alone, such "
                    "as outputs"
                )
            found = is_run(files)
            below[:] = sorted(
                name for name in below if (hidden or not name.startswith(".")) and not (found and _is_inside(name))
            )
            if found:
                yield Path(place)


def _is_inside(name: str) -> bool:
    return name in INSIDE or name.startswith(f"{CHECKPOINTS}-")
