"""The results of a run: one flat JSON object a line for each point evaluated, in `results.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]

# Headings of the final table, in its order; a metric that was not asked for has no column.
HEADINGS = {
    "steps": "T",
    "fid": "FID",
    "fd_classifier": "FD clf.",
    "inception_score": "IS",
    "precision": "prec.",
    "recall": "recall",
    "cas_top1": "CAS@1",
    "cas_top5": "CAS@5",
    "sample_accuracy": "recog.",
    "nll": "NLL",
    "images_per_second": "img/s",
}


class Results:
    """Reads and extends a results file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row; a line that a kill cut short is passed over."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [row for line in lines if (row := _parse(line)) is not None]

    def append(self, row: Row) -> None:
        """Adds a row and waits until it is on the disk."""
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if whole else "\n") + json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the rows, ordered by T."""
    keys = [key for key in HEADINGS if any(key in row for row in rows)]
    ordered = sorted(rows, key=lambda row: row["steps"])
    return [HEADINGS[key] for key in keys], [[_cell(row.get(key)) for key in keys] for row in ordered]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    whole = isinstance(row, dict) and isinstance(row.get("steps"), int)
    return row if whole and all(isinstance(row.get(key, 0), int | float) for key in HEADINGS) else None


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3f}"
    return "-" if value is None else str(value)
