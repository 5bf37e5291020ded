"""The folder of edited pictures: what is finished in it is never made twice, and nothing in it is ever overwritten."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskgit_lab import __version__
from maskgit_lab.code import Code, changed, named
from maskgit_lab.editing_files.png import how_it_was_made, is_whole
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint, flatten
from maskgit_lab.runs.naming import LOCK
from maskgit_lab.runs.outputs import check_holds

ABOUT = "edits.json"  # what all results in a folder depend on
PARTIAL = re.compile(r"\.(\d+|edits\.json)\.partial")
MOST_NAMED = 3


@dataclass(frozen=True)
class Edits:
    """The results in a folder, all of the same settings, weights and code.

    Attributes:
        folder: of the results.
        settings: all that a result depends on, besides its picture, its number, the weights and the code.
        model: the hash of the weights.
        code: that edits.
    """

    folder: Path
    settings: Mapping[str, Any]
    model: str
    code: Code

    @property
    def about(self) -> dict[str, Any]:
        """What every result says."""
        return {
            "settings": dict(self.settings),
            "model": self.model,
            "code": fingerprint(self.code),
            "version": __version__,
        }

    @property
    def identity(self) -> str:
        """The same for results that differ in their pictures and numbers alone."""
        return fingerprint({key: value for key, value in self.about.items() if key != "version"})

    def check(self) -> None:
        """Raises a `UserError` unless the folder is new or empty, or has results of the same settings."""
        folder = self.folder
        check_holds(
            folder, "is not empty and holds no edits", lambda names: ABOUT in names or all(map(_is_left, names))
        )
        if (folder / ABOUT).exists() and (difference := self._difference()) is not None:
            raise UserError(f"out={folder} holds other edits ({difference}): choose another folder")

    def begin(self) -> None:
        """Notes in the folder what the results depend on, and removes what a killed command was writing."""
        for path in self.folder.rglob(".*.partial"):
            if PARTIAL.fullmatch(path.name):
                path.unlink()
        if not (self.folder / ABOUT).exists():
            values = {**self.about, "identity": self.identity, "files": dict(self.code)}
            partial = self.folder / f".{ABOUT}.partial"
            partial.write_text(json.dumps(values, indent=1), encoding="utf-8")
            partial.replace(self.folder / ABOUT)

    def find(self, path: Path, sha256: str) -> dict[str, Any] | None:
        """What a finished result says of itself; None where there is none, or it was not written to its end.

        Args:
            path: of the result.
            sha256: the hash of the picture's file.

        Raises:
            UserError: something else is there.
        """
        if not path.exists():
            return None
        if not path.is_file():
            raise UserError(f"{path} is not a file: move it away, or choose another out")
        if not path.stat().st_size:
            return None
        try:
            made = how_it_was_made(path)
        except UserError as error:
            raise UserError(f"{path} is not a picture of edit.py: move it away, or choose another out") from error
        if made.get("sha256") != sha256 or made.get("identity") != self.identity:
            what = "picture" if made.get("identity") == self.identity else "command"
            raise UserError(f"{path} is of another {what}: move it away, or choose another out")
        return made if is_whole(path) else None

    def _difference(self) -> str | None:
        """What is different in the folder, in words."""
        try:
            there = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
            before, now = flatten(there["settings"]), flatten(json.loads(json.dumps(self.settings)))
            if there["identity"] == self.identity:
                return None
            different = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
            if different:
                said = [
                    f"{key} is {before.get(key, 'not set')} there and {now.get(key, 'not set')} here"
                    for key in different[:MOST_NAMED]
                ]
                return "; ".join(said)
            if there["model"] != self.model:
                return "made with other weights"
            return f"made by other code, changed since: {named(changed(there['files'], self.code))}"
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{self.folder / ABOUT} is damaged: choose another out") from error


def _is_left(name: str) -> bool:
    """Whether a file is all that a command leaves that was killed at its start."""
    return name == LOCK or bool(PARTIAL.fullmatch(name))
