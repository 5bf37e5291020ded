"""The folders that commands write into: nothing of a user's is ever overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from pathlib import Path

from maskgit_lab.errors import UserError
from maskgit_lab.runs.names import CODE, COSTS
from maskgit_lab.runs.naming import LOCK
from maskgit_lab.runs.results import GRIDS, RESULTS

# What evaluate.py and its loggers leave in a folder.
OF_LOGGERS = {"wandb", "tensorboard", "curve.csv", "loggers"}
SIGNS = {LOCK, RESULTS, "evaluation"}  # which no earlier version was without
SAMPLES = "samples"  # the folder of what evaluate.py save=[...] keeps
OF_RESULTS = {*SIGNS, CODE, COSTS, GRIDS, SAMPLES, *OF_LOGGERS}
MARK = ".maskgit_lab"  # beside files that a command may replace, as it wrote them: their names
SAFE = "choose another folder, so that nothing is lost"


def new_folder(out: Path) -> Path:
    """The folder of `out=`, made if it is absent.

    Raises:
        UserError: something is in it, or it cannot be made.
    """
    check_holds(out, "exists and is not empty", lambda names: names <= {LOCK})
    return made_folder(out)


def results_folder(out: Path) -> Path:
    """The folder of `out=`, made if it is absent, that may have results already.

    Raises:
        UserError: it holds something else, or cannot be made.
    """
    is_ours = _noted(out) is not None

    def is_fine(names: set[str]) -> bool:
        known = names - {MARK, f"{MARK}.partial"}
        return known <= OF_RESULTS and (is_ours or bool(known & SIGNS) or known <= {SAMPLES})

    check_holds(out, "is not empty and holds no results", is_fine)
    return _with_note(made_folder(out), OF_RESULTS)


def claimed_folder(out: Path, names: Collection[str], earlier: Collection[str] = ()) -> Path:
    """The folder of `out=`, made if it is absent, in which a command replaces its own files and leaves others.

    Args:
        out: the folder.
        names: of the files and folders that are to be written, which are noted in the folder before any of them is.
        earlier: names of what is known to be ours where nothing is noted.

    Raises:
        UserError: something that has one of the names is not ours, or the folder cannot be made.
    """
    noted = _noted(out)
    ours = set(earlier) if noted is None else noted
    foreign = [name for name in names if name not in ours and os.path.lexists(out / name)]
    shown = ", ".join(foreign)
    check_holds(out, f"has {shown} from elsewhere, which would be replaced", lambda _: not foreign)
    return _with_note(made_folder(out), ours | set(names))


def check_holds(out: Path, otherwise: str, is_fine: Callable[[set[str]], bool]) -> None:
    """Checks what is in the folder of `out=`, if there is one.

    Args:
        out: the folder.
        otherwise: what else is to be said of it.
        is_fine: whether a folder with these names in it may be written into.

    Raises:
        UserError: it is a file, or may not be.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"out={out} is a file: choose a folder")
    if out.exists() and not is_fine({path.name for path in out.iterdir()}):
        raise UserError(f"out={out} {otherwise}: {SAFE}")


def check_kept(place: Path) -> None:
    """Raises a `UserError` where a file of a user's is in the place of the folder of samples."""
    if (file := place / SAMPLES).exists() and not file.is_dir():
        raise UserError(f"{file} is a file, and save= keeps samples in a folder of that name: move it away")


def made_folder(out: Path) -> Path:
    """The folder of `out=`, made if it is absent.

    Raises:
        UserError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(out, error) from error
    return out


def _cannot_write(out: Path, error: OSError) -> UserError:
    return UserError(f"cannot write out={out} ({error.strerror}): choose another folder")


def _with_note(out: Path, names: Collection[str]) -> Path:
    """A folder, once it is noted in it which names are ours."""
    partial = out / f"{MARK}.partial"
    try:
        partial.write_text(json.dumps(sorted(names)), encoding="utf-8")
        partial.replace(out / MARK)
    except OSError as error:
        raise _cannot_write(out, error) from error
    return out


def _noted(out: Path) -> set[str] | None:
    """The names that a command has noted in a folder as its own; None where there is no note that can be read."""
    try:
        names = json.loads((out / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else None
