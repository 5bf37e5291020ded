"""`code.json`: what the fingerprints of code in a folder stand for, and what has changed since."""

from __future__ import annotations

import json
from pathlib import Path

from maskgit_lab.code import Code, changed, named
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.paths import text_of
from maskgit_lab.runs.names import CODE

UNKNOWN = "what is not known, since code.json is missing or damaged"


class Codes:
    """The code of the checkpoint and the rows in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CODE

    def add(self, code: Code) -> str:
        """Keeps the files of some code, and gives their fingerprint."""
        known, name = self._read(), fingerprint(code)
        if name not in known:
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(json.dumps({**known, name: code}, indent=1), encoding="utf-8")
            temporary.replace(self.path)
        return name

    def get(self, name: str) -> Code:
        """The files of a fingerprint; none where they are not known."""
        return self._read().get(name, {})

    def changes(self, before: str, now: Code) -> str:
        """The files that differ between the code of a fingerprint and today's, in a sentence."""
        known = self._read().get(before)
        return UNKNOWN if known is None else named(changed(known, now))

    def _read(self) -> dict[str, Code]:
        """Without code that was changed by hand."""
        return {name: code for name, code in (read_codes(self.path) or {}).items() if fingerprint(code) == name}


def read_codes(path: Path) -> dict[str, Code] | None:
    """The files of each fingerprint in a `code.json`; none where there is no such file, None where it is damaged."""
    if not path.exists():
        return {}
    try:
        found = json.loads(text_of(path))
        return {str(name): {str(file): str(digest) for file, digest in code.items()} for name, code in found.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


class Stale(UserError):
    """Other code made what a command found.

    Args:
        what: was made, with its verb.
        files: that have changed since.
        again: what `rerun=true` does.
    """

    def __init__(self, what: str, files: str, again: str) -> None:
        super().__init__(
            f"{what} by other code (changed since: {files}): give rerun=true to {again}, beside what is there, or "
            "reuse=true to take it as it is, which the rows then say"
        )
        self.files = files


def check_choice(rerun: bool, reuse: bool) -> None:
    """Raises a `UserError` if both are asked for."""
    if rerun and reuse:
        raise UserError("rerun=true and reuse=true exclude each other: give one of them")
