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
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from maskgit_lab import ranks
from maskgit_lab.code import changed, named
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import checksum, file_sha256, fingerprint
from maskgit_lab.paths import text_of
from maskgit_lab.runs import in_use
from maskgit_lab.runs.holder import Holder
from maskgit_lab.runs.lease import Lease, leased

WEIGHTS = "model.safetensors"  # of a network
SCORING = "scoring"  # the folder of evaluations that have not ended, where they have no folder of results
MANIFEST = "manifest.json"
T = TypeVar("T")

Maker = Callable[[Path], Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """A finished folder of the store."""

    path: Path
    reused: bool  # found as it was, rather than made by this call
    about: Mapping[str, Any]  # what its maker returned: shapes, scores
    files: Mapping[str, str]  # the checksums of its files, by name

    @property
    def digest(self) -> str:
        """One checksum of all its files."""
        return fingerprint(self.files)


class Store:
    """The shared folder of all runs, by default `outputs/cache`."""

    def __init__(self, root: Path, say: Callable[[str], None], together: bool = True) -> None:
        self.root = root
        self.say = say
        self.together = together  # whether every process takes part in what is made
        self.used: set[str] = set()  # the entries that this command has used, each as `kind/fingerprint`
        self.held: Lease | None = None

    def path(self, kind: str, ingredients: Mapping[str, Any]) -> Path:
        """Where the entry is, or would be."""
        return self.root / kind / fingerprint(ingredients)

    def obtain(self, kind: str, ingredients: Mapping[str, Any], make: Maker) -> Entry:
        """The entry of this kind with these ingredients; made by `make(folder)` if absent or damaged.

        What `make` leaves in its folder after a crash is there when it is called again, so that it can resume; what
        it returns is kept in the manifest. With several processes all of them call this and take part in `make`;
        the main one checks, names and finishes the entry.

        Raises:
            UserError: the store cannot be written.
        """
        path = self.path(kind, ingredients)
        partial = path.with_suffix(".partial")
        with self._locked(kind, path.with_suffix(".lock")) if self._leads() else nullcontext():
            found = self._shared(self._leads() and self._is_valid(kind, path, ingredients))
            if not found:
                if self._leads():
                    self._say_what_changed(kind, ingredients)
                    partial.mkdir(exist_ok=True)
                self._shared(None)
                about = make(partial)
                self._shared(None)  # every process has written its part
                found = self._shared(self._leads() and _finish(partial, path, ingredients, about))
            self.used.add(f"{kind}/{path.name}")
            return open_entry(path, reused=found)

    def alone(self) -> Store:
        """The same store for one process, whatever the others do."""
        other = Store(self.root, self.say, together=False)
        other.used, other.held = self.used, self.held
        return other

    def hold(self) -> None:
        """Keeps `clean.py` from removing anything here for as long as this store lives, or its process.

        Raises:
            UserError: the store cannot be written.
        """
        _make_folder(self.root)
        _make_folder(self.root / in_use.FOLDER)
        self.held = self.held or in_use.hold(self.root, self.say)

    def _leads(self) -> bool:
        return not self.together or ranks.is_main()

    def _shared(self, value: T) -> T:
        return ranks.share(value) if self.together else value

    def _is_valid(self, kind: str, path: Path, ingredients: Mapping[str, Any]) -> bool:
        if not path.exists():
            return False
        fault = find_fault(path, ingredients)
        if fault is not None:
            self.say(f"{kind}: the cached one at {path} is made again: {fault}")
            shutil.rmtree(path)
        return fault is None

    def _say_what_changed(self, kind: str, ingredients: Mapping[str, Any]) -> None:
        """Names the code that has changed since an entry was made that is the same otherwise."""
        wanted = _without_code(json.loads(json.dumps(ingredients)))
        for path in sorted(self.root.glob(f"{kind}/*/{MANIFEST}"), key=_age):
            try:
                there = _read_manifest(path.parent)["ingredients"]
                if _without_code(there) == wanted:
                    files = named(changed(there["code"], ingredients["code"]))
                    self.say(f"{kind}: made again, since other code made {path.parent} (changed since: {files})")
                    return
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue

    @contextmanager
    def _locked(self, kind: str, lock_path: Path) -> Iterator[None]:
        _make_folder(lock_path.parent)

        def waiting(holder: Holder) -> None:
            self.say(f"{kind}: another run is making it ({holder}); waiting")

        with leased(lock_path, waiting):
            yield


def _finish(partial: Path, path: Path, ingredients: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    """Gives a complete folder its name; whether another process had finished the same entry, which then is used."""
    try:
        _write_manifest(partial, ingredients, about)
        partial.replace(path)
    except OSError:
        if find_fault(path, ingredients) is not None:
            raise
        shutil.rmtree(partial, ignore_errors=True)
        return True
    return False


def find_fault(path: Path, ingredients: Mapping[str, Any]) -> str | None:
    """Why an entry cannot be used, in a few words, or None if it is valid."""
    try:
        manifest = _read_manifest(path)
        files, _ = dict(manifest["files"]), dict(manifest["about"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "its manifest is missing or unreadable"
    if manifest.get("checksum") != checksum(manifest):
        return "its manifest is damaged (its checksum differs)"
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


def open_entry(path: Path, reused: bool = True) -> Entry:
    """A finished entry, as its manifest describes it."""
    manifest = _read_manifest(path)
    return Entry(path, reused, dict(manifest["about"]), dict(manifest["files"]))


def manifests(root: Path, kind: str) -> Iterator[dict[str, Any]]:
    """The manifests of all finished entries of a kind, as far as they can be read; their files are not looked at."""
    for path in sorted(root.glob(f"{kind}/*/{MANIFEST}")):
        try:
            manifest = _read_manifest(path.parent)
            if isinstance(manifest["ingredients"], dict) and isinstance(manifest["files"], dict):
                yield manifest
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue


def is_valid(path: Path) -> bool:
    """Whether there is an entry in a folder, which is intact."""
    return _fault(path) is None


def open_valid(path: Path, advice: str) -> Entry:
    """An entry that was made elsewhere, such as on another machine.

    Args:
        path: its folder.
        advice: what to do where it cannot be used, as the end of a sentence.

    Raises:
        UserError: it is absent or damaged.
    """
    if fault := _fault(path):
        raise UserError(f"{path} cannot be used: {fault}; {advice}")
    return open_entry(path)


def _fault(path: Path) -> str | None:
    try:
        ingredients = _read_manifest(path)["ingredients"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ingredients = {}
    return find_fault(path, ingredients)


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(text_of(folder / MANIFEST))
    return manifest


def _write_manifest(folder: Path, ingredients: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    manifest: dict[str, Any] = {
        "fingerprint": fingerprint(ingredients),
        "ingredients": ingredients,
        "about": about,
        "files": {str(file.relative_to(folder)): file_sha256(file) for file in files},
    }
    manifest["checksum"] = checksum(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _without_code(ingredients: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in ingredients.items() if key != "code"}


def _age(path: Path) -> float:
    """The newest first."""
    return -path.stat().st_mtime


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write the cache folder {folder} ({error.strerror}): choose another with cache_dir=PATH"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"the cache folder {folder} is not writable: choose another with cache_dir=PATH")
