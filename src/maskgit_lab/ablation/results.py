"""The results of a run: one flat JSON object a line for each point evaluated, in `results.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.metrics.names import DISTANCES, distance_name

Row = Mapping[str, Any]

# Headings of the final table, in its order; a metric that was not asked for has no column.
HEADINGS = {
    "steps": "T",
    "fid": "FID",
    "fd": "FD",
    "sfid": "sFID",
    "sfd": "sFD",
    "kid": "KID",
    "kd": "KD",
    "inception_score": "IS",
    "precision": "prec.",
    "recall": "recall",
    "cas_top1": "CAS@1",
    "cas_top5": "CAS@5",
    "sample_accuracy": "recog.",
    "nll": "NLL",
    "images_per_second": "img/s",
}
# What a point is: rows that agree in all of these are of the same point.
SETTINGS = (
    *("samples", "samples_fingerprint", "model", "labels", "data", "schedule", "decode_schedule", "steps"),
    *("choice_temperature", "guidance", "seed", "n_samples", "features", "features_weights"),
    *("precision_features", "precision_weights", "reference", "reference_fingerprint", "reference_features"),
    *("splits", "neighbours", "kid_subsets", "kid_subset_size", "nll_draws", "cas_classifier", "metrics"),
)
STANDARD_SAMPLES = 50_000  # of the paper, of ADM, and of nearly all that is published


RESULTS = "results.jsonl"


class Results:
    """Reads and extends a results file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row, the last of each point; a line that a kill cut short is passed over."""
        return self.read()[0]

    def read(self) -> tuple[list[dict[str, Any]], int]:
        """The rows, and how many lines could not be read."""
        if not self.path.exists():
            return [], 0
        lines = [line for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        rows = [row for line in lines if (row := _parse(line)) is not None]
        return list({identity(row): row for row in rows}.values()), len(lines) - len(rows)

    def append(self, row: Row) -> None:
        """Adds a row and waits until it is on the disk."""
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if whole else "\n") + json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())


def identity(row: Row) -> str:
    """The same for rows of the same point, measured with the same settings."""
    return fingerprint({key: row[key] for key in SETTINGS if key in row})


def grid_path(folder: Path, row: Row) -> Path:
    """Where some samples of a point are drawn, in the folder of its results."""
    return folder / "grids" / f"{identity(row)}.png"


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the rows, ordered by T.

    A distance of fewer samples than the standard is marked with a star, since its bias depends on their number.
    """
    ordered = sorted(rows, key=lambda row: row.get("steps", 0))
    shown = [_shown(row) for row in ordered]
    keys = [key for key in HEADINGS if any(key in row for row in shown)]
    return [HEADINGS[key] for key in keys], [[row.get(key, "-") for key in keys] for row in shown]


def footnotes(rows: Sequence[Row]) -> list[str]:
    """What has to be known to read the table."""
    notes = []
    if few := sorted({row["n_samples"] for row in rows if _is_few(row)}):
        said = " and ".join(f"{count:,}" for count in few)
        notes.append(
            f"* from {said} samples and not {STANDARD_SAMPLES:,}: too high by a bias that depends on their number; "
            "compare it only with distances from as many"
        )
    if rows and "cas_real_top1" in rows[0]:
        real = rows[0]["cas_real_top1"]
        notes.append(f"A classifier trained on real images instead of samples has CAS@1 {real:.3f}.")
    return notes


def _is_few(row: Row) -> bool:
    return row.get("n_samples", STANDARD_SAMPLES) < STANDARD_SAMPLES


def _shown(row: Row) -> dict[str, str]:
    """The cells of a row, by heading."""
    values = {key: row.get(key) for key in HEADINGS}
    if row.get("features") != "inception":
        values |= {
            short: row.get(distance_name(row.get("features", ""), metric)) for metric, short in DISTANCES.items()
        }
    star = "*" if _is_few(row) else ""
    marked = {"fid", "fd", "sfid", "sfd"}
    return {k: _cell(k, value) + (star if k in marked else "") for k, value in values.items() if value is not None}


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    whole = isinstance(row, dict) and isinstance(row.get("n_samples"), int)
    return row if whole and all(isinstance(row.get(key, 0), int | float) for key in HEADINGS) else None


def _cell(key: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    digits = 5 if key in ("kid", "kd") else 0 if abs(value) >= 100 else 3
    return f"{value:.{digits}f}"
