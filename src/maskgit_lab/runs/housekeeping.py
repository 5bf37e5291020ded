"""What lies in folders of runs and in the cache that they share, which of it is needed, and how it is removed.

A run needs each entry of the cache that its run.json mentions as `kind/fingerprint`, whichever version wrote it. Links
to runs are followed to learn what they need; nothing is ever removed through a link.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import LENGTH
from maskgit_lab.paths import text_of
from maskgit_lab.runs.finding import EVALUATION, run_folders
from maskgit_lab.runs.folder import PARTS, RunFolder
from maskgit_lab.runs.in_use import is_in_use
from maskgit_lab.runs.lease import is_held
from maskgit_lab.runs.names import CHECKPOINTS, RECORD
from maskgit_lab.runs.naming import LOCK
from maskgit_lab.runs.record import parsed
from maskgit_lab.runs.store import MANIFEST, SCORING
from maskgit_lab.settings import MODELS

FINGERPRINT = re.compile(rf"[0-9a-f]{{{LENGTH}}}")
MENTIONED = re.compile(rf"[\w-]+/{FINGERPRINT.pattern}(?![\w-])")
DAMAGED = f"damaged: its {RECORD} cannot be read"


class Kind(StrEnum):
    """What can be removed."""

    RUN = "run"
    ASIDE = "checkpoints that a rerun set aside, counted with the run"
    OF_RUN = "unfinished evaluation, counted with the run"
    ENTRY = "entry"  # of the cache, finished
    PARTIAL = "half-made"
    LOCK = "left-over lock"
    SCORING = "unfinished evaluations"


IN_RUN = (Kind.ASIDE, Kind.OF_RUN)


@dataclass(frozen=True)
class Item:
    """Something that can be removed."""

    path: Path
    kind: Kind
    size: int  # bytes
    changed: float  # when something in it last changed, in seconds since 1970
    run: Path | None = None  # the run that it is or lies in; None: it lies in the cache
    state: str = ""  # of a run: how far it has come
    needs: frozenset[str] = frozenset()  # of a run: entries of the cache, each as `kind/fingerprint`
    needed_by: tuple[Path, ...] = ()  # of an entry: runs
    in_use: bool = False

    @property
    def name(self) -> str:
        """Of an entry: `kind/fingerprint`."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def is_unused(self) -> bool:
        """Whether it lies in the cache, and no run needs it; what is half-made may be days of training."""
        return self.kind is Kind.LOCK or (self.kind is Kind.ENTRY and not self.needed_by)


@dataclass(frozen=True)
class Survey:
    """All that was found."""

    folders: Sequence[Path]  # that were searched for runs
    cache: Path
    cache_in_use: bool
    in_runs: list[Item]  # each run, with what can be removed in it alone after it
    in_cache: list[Item]
    unread: list[str] = field(default_factory=list)  # folders that could not be read, each as half a sentence

    @property
    def items(self) -> list[Item]:
        """Everything that can be removed."""
        return [*self.in_runs, *self.in_cache]

    @property
    def runs(self) -> list[Item]:
        """The runs."""
        return [item for item in self.in_runs if item.kind is Kind.RUN]

    @property
    def unused(self) -> list[Item]:
        """What no run needs."""
        return [item for item in self.in_cache if item.is_unused]


def survey(folders: Sequence[Path], cache: Path) -> Survey:
    """Looks at every run in some folders, at any depth, and at the cache; changes nothing.

    Raises:
        UserError: there is no such folder.
    """
    for key, folder in (*(("runs", folder) for folder in folders), ("cache_dir", cache)):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{key}={folder} is a file: name a folder")
        if not folder.exists() and key == "runs":
            raise UserError(f"runs={folder} does not exist: name a folder that holds runs, such as outputs")
    unread: list[str] = []
    paths = list(run_folders(folders, lambda files: RECORD in files, on_error=lambda e: unread.append(_fault(e))))
    apart = {*map(real, paths), real(cache)}
    in_runs = [item for path in paths for item in _in_run(path, apart)]
    return Survey(folders, cache, is_in_use(cache), in_runs, list(_in_cache(cache, in_runs)), unread)


def real(path: Path) -> Path:
    """Where a path lies, without links before its last part, which may itself be one."""
    return path.parent.resolve() / path.name


def size_of(items: Sequence[Item]) -> int:
    """The bytes of all of them together."""
    whole = {item.run for item in items if item.kind is Kind.RUN}
    return sum(item.size for item in items if item.kind not in IN_RUN or item.run not in whole)


def _fault(error: OSError) -> str:
    return f"{error.filename} cannot be read ({error.strerror})"


def _in_run(path: Path, apart: Collection[Path]) -> Iterator[Item]:
    """A run, without the runs and the cache inside it, and what can be removed in it alone."""
    state, needs = _read(path)
    # Of another user's run this is not known, and nothing can be removed from it.
    in_use = os.access(path / LOCK, os.W_OK) and is_held(path / LOCK)
    yield Item(path, Kind.RUN, *_measure(path, apart), path, state, needs, in_use=in_use)
    for inside, kind in ((f"{CHECKPOINTS}-*", Kind.ASIDE), (EVALUATION, Kind.OF_RUN)):
        for found in sorted(path.glob(inside)):
            if found.is_dir():
                yield Item(found, kind, *_measure(found), path, in_use=in_use)


def _read(path: Path) -> tuple[str, frozenset[str]]:
    """How far a run has come, and the entries of the cache that its record mentions."""
    needs = frozenset(MENTIONED.findall(_text(path / RECORD)))
    try:
        values = json.loads(_text(path / RECORD))
    except (ValueError, RecursionError):
        return DAMAGED, needs
    if isinstance(values, dict) and "fingerprint" in values and "code" not in values:
        return "of an earlier version", needs
    try:
        parsed(path / RECORD)  # the one before may need less than there is
        run = RunFolder(path)
    except UserError:
        return DAMAGED, needs
    reached = (stage for stage in reversed(PARTS) if all(map(run.is_done, PARTS[stage])))
    stage = next(reached, None)
    if stage in MODELS.values():  # stages of equal parts
        stage = next(part for part in MODELS.values() if getattr(run.record, part) is not None)
    return {"all": "complete", None: "unfinished"}.get(stage, f"complete up to {stage}"), needs


def _text(path: Path) -> str:
    try:
        return text_of(path, errors="replace")
    except OSError:
        return ""


def _in_cache(cache: Path, runs: Sequence[Item]) -> Iterator[Item]:
    """Finished entries, half-made ones, locks without either, and evaluations that have not ended."""
    for path in sorted(cache.glob("*/*")):
        kind = _kind(path)
        if kind is not None:
            name = f"{path.parent.name}/{path.name}"
            needed_by = tuple(run.path for run in runs if name in run.needs)
            in_use = kind is Kind.PARTIAL and is_held(path.with_suffix(".lock"))
            yield Item(path, kind, *_measure(path), needed_by=needed_by, in_use=in_use)
    if (cache / SCORING).is_dir():
        yield Item(cache / SCORING, Kind.SCORING, *_measure(cache / SCORING))


def _kind(path: Path) -> Kind | None:
    if not FINGERPRINT.fullmatch(path.stem) or path.parent.name.startswith("."):
        return None
    if not path.suffix and (path.is_symlink() or (path / MANIFEST).is_file()):
        return Kind.ENTRY
    if path.suffix == ".partial":
        return Kind.PARTIAL
    has_made = path.with_suffix("").exists() or path.with_suffix(".partial").exists()
    return Kind.LOCK if path.suffix == ".lock" and path.is_file() and not has_made else None


def _measure(path: Path, apart: Collection[Path] = ()) -> tuple[int, float]:
    """The bytes in a folder or a file, and when anything in it last changed; links and what is apart are left out."""
    found = [path.lstat()]
    for place, below, files in os.walk(path) if not path.is_symlink() else ():
        below[:] = [name for name in below if not apart or real(Path(place, name)) not in apart]
        for name in files:
            with suppress(FileNotFoundError):  # of a command that is working
                found.append(Path(place, name).lstat())
    of_files = [each for each in found if stat.S_ISREG(each.st_mode)]
    return sum(each.st_size for each in of_files), max(each.st_mtime for each in of_files or found)
