"""What `clean.py` may remove: everything is checked before anything is touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn

from maskgit_lab.errors import UserError
from maskgit_lab.runs.holder import Holder
from maskgit_lab.runs.housekeeping import DAMAGED, Item, Kind, Survey, real
from maskgit_lab.runs.lease import leased
from maskgit_lab.runs.names import RECORD
from maskgit_lab.runs.naming import LOCK
from maskgit_lab.runs.store import MANIFEST

IRREPLACEABLE = ("tokenizer", "tokens")  # without them the checkpoints of a run are of no use


def named(found: Survey, paths: Sequence[str]) -> list[Item]:
    """What some paths name; of a run and what is in it, the run.

    Raises:
        UserError: one of them names nothing that the listing shows.
    """
    listed = {real(item.path): item for item in found.items}
    chosen = {}
    for path in paths:
        if (place := real(Path(path))) not in listed:
            raise UserError(f"remove={path} is not in the list that `python clean.py` prints: name one of its paths")
        chosen[place] = listed[place]
    whole = {item.path for item in chosen.values() if item.kind is Kind.RUN}
    return [item for item in chosen.values() if item.kind is Kind.RUN or item.run not in whole]


def unused(found: Survey) -> list[Item]:
    """What lies in the cache and no run needs.

    Raises:
        UserError: what a run needs cannot be known.
    """
    if unknown := unknown_needs(found, found.runs):
        raise UserError(f"{unknown}, so it is not known what is unused: fix it, or remove it first")
    if not found.runs and any(item.kind is Kind.ENTRY for item in found.in_cache):
        where = ", ".join(map(str, found.folders))
        raise UserError(f"there is no run in {where}: name all folders that share this cache with runs=[...]")
    return found.unused


def unknown_needs(found: Survey, runs: Sequence[Item]) -> str | None:
    """Why it is not known what some runs need, as half a sentence; None where it is known."""
    damaged = [f"{run.path / RECORD} is damaged" for run in runs if run.state == DAMAGED]
    return next(iter([*damaged, *found.unread]), None)


def check(found: Survey, chosen: Sequence[Item], fault: str | None) -> None:
    """Checks that some items may be removed.

    Args:
        found: all that there is.
        chosen: what is to be removed.
        fault: why nothing may be removed in the cache.

    Raises:
        UserError: one of them is in use, needed, or cannot be removed.
    """
    if fault is not None and any(item.run is None for item in chosen):
        raise UserError(fault)
    kept = [run for run in found.runs if run not in chosen]
    for item in chosen:
        _check_needed(found, item, kept)
        if item.kind is Kind.RUN:
            _check_run(found, item, kept)
        if (place := _unwritable(item.path)) is not None:
            raise UserError(
                f"{item.path} cannot be removed, since {place} is not writable: change its permissions first"
            )


@contextmanager
def held(chosen: Sequence[Item]) -> Iterator[None]:
    """Keeps commands out of the runs that something is removed of.

    Raises:
        UserError: a command works in one of them.
    """
    with ExitStack() as locks:
        for path in dict.fromkeys(item.run for item in chosen if item.run is not None):

            def refuse(holder: Holder, path: Path = path) -> NoReturn:
                raise UserError(f"{path} is in use: wait for the command that is working in it ({holder})")

            try:
                locks.enter_context(leased(path / LOCK, refuse))
            except OSError as error:
                raise UserError(f"{path} is not writable ({error.strerror}): change its permissions first") from error
        yield


def order(item: Item) -> tuple[bool, int]:
    """Runs go before what they need, and what lies in a run before the run."""
    return item.run is None, -len(item.path.parts)


def remove(item: Item) -> None:
    """Removes a file, a link or a folder.

    Raises:
        UserError: it cannot be removed.
    """
    path = item.path
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            _remove_folder(path)
        if item.run is None:
            path.with_suffix(".lock").unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot remove {error.filename} ({error.strerror}): everything listed before it has been removed"
        ) from error


def _remove_folder(path: Path) -> None:
    """What makes it a run or an entry goes last, so that the listing has it until all is gone."""
    for child in sorted(path.iterdir(), key=lambda child: child.name in (RECORD, MANIFEST)):
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    path.rmdir()


def _check_needed(found: Survey, item: Item, kept: Sequence[Item]) -> None:
    """A run's tokenizer and codes are not made again as they were."""
    if item.kind is not Kind.ENTRY or item.path.parent.name not in IRREPLACEABLE:
        return
    if users := [str(run.path) for run in kept if item.name in run.needs]:
        raise UserError(
            f"{item.path} is needed by {', '.join(users)}, whose checkpoints are of no use without it: name these runs "
            "too, or keep it"
        )
    if unknown := unknown_needs(found, kept):
        raise UserError(f"{unknown}, so it is not known whether {item.path} is needed: fix it, or remove it too")


def _check_run(found: Survey, run: Item, kept: Sequence[Item]) -> None:
    if run.path.is_symlink():
        raise UserError(f"{run.path} is a link: name the run itself, with runs={run.path.resolve().parent}")
    inside = [
        ("the cache", found.cache),
        ("the working folder", Path.cwd()),
        *(("the run", each.path) for each in kept),
    ]
    for what, place in inside:
        if place.resolve().is_relative_to(run.path.resolve()):
            raise UserError(f"{run.path} cannot be removed, since {what} {place} lies in it")


def _unwritable(path: Path) -> Path | None:
    """A folder that has to be written to remove a path, and cannot be."""
    folders = [path.parent]
    if not path.is_symlink():
        folders += [Path(place) for place, _, _ in os.walk(path)]
    return next((folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK)), None)
