"""The code behind rows of results, and what becomes of rows of other code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskgit_lab.code import Code
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.runs.codes import Codes, Stale
from maskgit_lab.runs.results import Results, Row, identity, origin


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where rows that are measured now come from."""

    code: Code  # that measures
    trained_by: str = ""  # a fingerprint of the code that trained the model; "": unknown
    training_code: Code = field(default_factory=dict)  # its files, where they are known
    reused: str = ""  # the code that did train it, whose checkpoint was taken as it is
    accepted: Sequence[str] = ()  # code that was taken for the code of the training
    about: Mapping[str, Any] = field(default_factory=dict)  # what rows say besides, such as the commit

    @property
    def key(self) -> tuple[str, str]:
        """What `results.origin` gives for such rows."""
        return fingerprint(self.code), self.trained_by

    @property
    def row(self) -> dict[str, Any]:
        """Keys of such rows."""
        trained = {"training_code": self.trained_by} if self.trained_by else {}
        reused = {"reused_training_code": self.reused} if self.reused else {}
        return {"code": self.key[0], **trained, **reused, **self.about}

    def remember(self, folder: Path) -> None:
        """Keeps what the fingerprints stand for beside the results."""
        Codes(folder).add(self.code)
        if self.training_code:
            Codes(folder).add(self.training_code)

    def grants(self, row: Row) -> bool:
        """Whether a row is as good as one of now, since the checkpoint of earlier code was taken as it is."""
        code, trained_by = origin(row)
        return code == self.key[0] and trained_by in (self.reused, *self.accepted)

    def reusing(self, row: Row) -> dict[str, Any]:
        """A row of other code, as if it were of now, which it says."""
        measured, trained = (row.get(f"reused_{key}", row.get(key, "unknown")) for key in ("code", "training_code"))
        kept = {key: value for key, value in row.items() if not key.startswith("reused_")}
        says = {"reused_code": measured} if measured != self.key[0] else {}
        says |= {"reused_training_code": trained} if trained not in (self.trained_by, "unknown") else {}
        return {**kept, "code": self.key[0], "training_code": self.trained_by, **says}


def check_rows(results: Results, points: Sequence[str], now: Origin) -> None:
    """Raises a `Stale` error if other code measured some points."""
    if found := [row for row in _of_other_code(results, points, now) if not now.grants(row)]:
        raise Stale(_measured(results.path, found), _files(results.path.parent, found[0], now), "measure again")


def reuse_rows(results: Results, points: Sequence[str], now: Origin, *, all_of_them: bool) -> None:
    """Takes the rows of some points that other code measured as they are: all, or those with a granted checkpoint."""
    for row in _of_other_code(results, points, now):
        if all_of_them or now.grants(row):
            now.remember(results.path.parent)
            results.append(now.reusing(row))


def _of_other_code(results: Results, points: Sequence[str], now: Origin) -> list[Row]:
    """The last row of each point that has none of today's code."""
    done = results.of(*now.key)
    others = {identity(row): row for row in results.rows()}
    return [others[point] for point in points if point not in done and point in others]


def _measured(path: Path, rows: Sequence[Row]) -> str:
    steps = ", ".join(str(row["steps"]) for row in rows if "steps" in row)
    return f"the rows of T = {steps} in {path} were measured" if steps else f"the row in {path} was measured"


def _files(folder: Path, row: Row, now: Origin) -> str:
    code, trained_by = origin(row)
    if code != now.key[0]:
        return Codes(folder).changes(code, now.code)
    return Codes(folder).changes(trained_by, now.training_code)
