"""How long decoding takes: one flat JSON object a line for each cell of the runtime figure, in `runtime.jsonl`.

A row has the settings of a cell and the `seconds` an image: the median, with `seconds_lowest` and `seconds_highest`, of
`n` repetitions; or, where that would take too long, the `expected_seconds` of one batch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskgit_lab.code import Code
from maskgit_lab.fingerprints import checksum, fingerprint
from maskgit_lab.runs.codes import Codes, Stale
from maskgit_lab.runs.finding import run_folders
from maskgit_lab.runs.results import Results, Row

TIMINGS = "runtime.jsonl"
SECONDS, LOWEST, HIGHEST = "seconds", "seconds_lowest", "seconds_highest"  # an image, of n repetitions
CPU = "cpu_seconds"  # an image: the time of all threads of the process, which a loaded machine leaves as it is
EXPECTED = "expected_seconds"  # of a batch that was not decoded, since it would have taken too long
FAULT = "fault"  # why a batch could not be decoded
TIMES = (SECONDS, LOWEST, HIGHEST, EXPECTED)
MEASURED = (*TIMES, CPU, "n", FAULT, "other_tokens", "parameters", "load")
PROVENANCE = ("code", "reused_code", "commit", "clean", "checksum")


class Timings:
    """Reads and extends a file of timings, with the code of its rows beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row, the last of each cell and code, in the order of the file."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        rows = [row for line in lines if line.strip() and (row := _parse(line)) is not None]
        return list({(cell_of(row), row.get("code")): row for row in rows}.values())

    def of(self, code: Code) -> dict[str, dict[str, Any]]:
        """The rows that some code measured, by their cells."""
        name = fingerprint(code)
        return {cell_of(row): row for row in self.rows() if row.get("code") == name}

    def append(self, row: Row, code: Code) -> None:
        """Adds a row of some code, and waits until it is on the disk."""
        Codes(self.path.parent).add(code)
        Results(self.path).append({**row, "code": fingerprint(code)})

    def settle(self, cell: str, code: Code, *, rerun: bool, reuse: bool) -> None:
        """Sees to the row of a cell that other code measured.

        Args:
            cell: as `cell_of` names it.
            code: of today.
            rerun: whether it is measured again.
            reuse: whether it is taken as it is, which it then says.

        Raises:
            Stale: there is one, and it was not said what to do about that.
        """
        if rerun or cell in self.of(code):
            return
        others = [row for row in self.rows() if cell_of(row) == cell and SECONDS in row]
        if not others:
            return
        row = others[-1]
        if not reuse:
            files = Codes(self.path.parent).changes(str(row.get("code")), code)
            raise Stale(f"a row in {self.path} was measured", files, "measure again")
        self.append({**row, "reused_code": row.get("reused_code", row.get("code"))}, code)


def cell_of(row: Row) -> str:
    """The same for rows of the same cell: of the same settings, device, threads and versions."""
    return fingerprint({key: value for key, value in row.items() if key not in (*MEASURED, *PROVENANCE)})


def find_timings(folder: Path) -> list[Path]:
    """Every file of timings below a folder, at any depth."""

    def has_some(files: Collection[str]) -> bool:
        return TIMINGS in files

    found = {path / TIMINGS for path in run_folders([folder], has_some, hidden=False)}
    return sorted(found)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(row, dict) or row.get("checksum") != checksum(row):
        return None
    return row if _is_whole(row) else None


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether a row says what was timed, and how long it took."""
    counts: Sequence[Any] = [row.get("tokens"), row.get("batch_size"), row.get("steps", 1)]
    times = [row[key] for key in TIMES if key in row]
    is_timed = SECONDS not in row or ({LOWEST, HIGHEST, CPU} <= row.keys() and isinstance(row.get("n"), int))
    return (
        isinstance(row.get("decoder"), str)
        and all(isinstance(count, int) and count >= 1 for count in counts)
        and all(isinstance(time, float) and 0 < time < math.inf for time in times)
        and is_timed
        and any(key in row for key in (SECONDS, EXPECTED, FAULT))
    )
