"""The folders that commands write into: nothing of a user's is ever overwritten."""

from __future__ import annotations

from pathlib import Path

from maskgit_lab.errors import UserError
from maskgit_lab.runs.names import CODE, COSTS
from maskgit_lab.runs.results import GRIDS, RESULTS

# What evaluate.py and its loggers leave in a folder.
OF_LOGGERS = {"wandb", "tensorboard", "curve.csv", "loggers"}
OF_RESULTS = {".lock", RESULTS, CODE, COSTS, "evaluation", GRIDS, "samples", *OF_LOGGERS}


def new_folder(out: Path) -> Path:
    """The folder of `out=`, made if it is absent.

    Raises:
        UserError: something is in it, or it cannot be made.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"out={out} exists and is not empty: choose another folder, so that nothing is lost")
    return made_folder(out)


def results_folder(out: Path) -> Path:
    """The folder of `out=`, made if it is absent, that may have results already.

    Raises:
        UserError: it holds something else, or cannot be made.
    """
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= OF_RESULTS):
        raise UserError(f"out={out} is not empty and holds no results: choose another folder, so that nothing is lost")
    return made_folder(out)


def made_folder(out: Path) -> Path:
    """The folder of `out=`, made if it is absent.

    Raises:
        UserError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write out={out} ({error.strerror}): choose another folder") from error
    return out
