"""Folders that a command fills: new or empty ones only."""

from __future__ import annotations

from pathlib import Path

from maskgit_lab.errors import UserError


def new_folder(out: Path) -> Path:
    """The folder of `out=`, made if it is absent.

    Raises:
        UserError: something is in it, or it cannot be made.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"out={out} is there already and not empty: choose another folder, so that nothing is lost")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write out={out} ({error.strerror}): choose another folder") from error
    return out
