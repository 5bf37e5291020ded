"""What runs share (tokenizers, token caches, classifiers, reference features), made once under a fingerprint.

An entry is a folder `<root>/<kind>/<fingerprint>/`. It is written to a temporary name and renamed when complete, under
a lock, so two runs never make the same one. Its manifest holds what it depends on and the checksum of every file;
both are checked whenever it is opened.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256, fingerprint

MANIFEST = "manifest.json"

Maker = Callable[[Path], Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """A finished folder of the store."""

    path: Path
    reused: bool  # found as it was, rather than made by this call
    about: Mapping[str, Any]  # what its maker said of it: shapes, scores
    files: Mapping[str, str]  # the checksums of its files, by name

    @property
    def digest(self) -> str:
        """One checksum of all its files."""
        return fingerprint(self.files)


class Store:
    """The shared folder of all runs, by default `outputs/cache`."""

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self.root = root
        self.say = say

    def path(self, kind: str, ingredients: Mapping[str, Any]) -> Path:
        """Where the entry is, or would be."""
        return self.root / kind / fingerprint(ingredients)

    def obtain(self, kind: str, ingredients: Mapping[str, Any], make: Maker) -> Entry:
        """The entry of this kind with these ingredients; made by `make(folder)` if absent or damaged.

        What `make` leaves in its folder after a crash is there when it is called again, so that it can go on; what
        it returns is kept in the manifest.

        Raises:
            UserError: the store cannot be written.
        """
        path = self.path(kind, ingredients)
        _make_folder(path.parent)
        with self._locked(kind, path.with_suffix(".lock")):
            if path.exists():
                fault = find_fault(path, ingredients)
                if fault is None:
                    return _entry(path, reused=True)
                self.say(f"{kind}: the cached one at {path} is made again: {fault}")
                shutil.rmtree(path)
            partial = path.with_suffix(".partial")
            partial.mkdir(exist_ok=True)
            _write_manifest(partial, ingredients, make(partial))
            partial.replace(path)
            return _entry(path, reused=False)

    @contextmanager
    def _locked(self, kind: str, lock_path: Path) -> Iterator[None]:
        lock = FileLock(lock_path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.say(f"{kind}: another run is making it; waiting")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def find_fault(path: Path, ingredients: Mapping[str, Any]) -> str | None:
    """Why an entry cannot be used, in a few words, or None if it is sound."""
    try:
        manifest = _read_manifest(path)
        files, _ = dict(manifest["files"]), dict(manifest["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return "its manifest is missing or unreadable"
    if manifest.get("ingredients") != json.loads(json.dumps(ingredients)):
        return "it was made from other ingredients"
    if not files:
        return "its manifest names no files"
    for name, digest in files.items():
        file = path / name
        if not file.is_file():
            return f"its file {name} is missing"
        if file_sha256(file) != digest:
            return f"its file {name} is damaged (the checksum differs)"
    return None


def _entry(path: Path, reused: bool) -> Entry:
    manifest = _read_manifest(path)
    return Entry(path, reused, manifest["about"], manifest["files"])


def _read_manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def _write_manifest(folder: Path, ingredients: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    manifest = {
        "fingerprint": fingerprint(ingredients),
        "ingredients": ingredients,
        "about": about,
        "files": {str(file.relative_to(folder)): file_sha256(file) for file in files},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write the cache folder {folder} ({error.strerror}): choose another with cache_dir=PATH"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"the cache folder {folder} is not writable: choose another with cache_dir=PATH")
