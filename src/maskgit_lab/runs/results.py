"""The results of a run: one flat JSON object a line for each point evaluated, in `results.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskgit_lab.fingerprints import checksum, fingerprint
from maskgit_lab.metrics import registry

Row = Mapping[str, Any]

RESULTS = "results.jsonl"
GRIDS = "grids"
VERSION = "version_"  # before the name of a package
PURPOSE = "purpose"  # of samples that are drawn for something else than to be reported
STANDARD_SAMPLES = 50_000  # of the paper, of ADM, and of nearly all that is published
# The settings of a row whatever the decoder; all other settings in a row are the decoder's own.
SETTINGS = (
    *("samples", "samples_fingerprint", "model", "labels", "data", "schedule", "decoder", "decode_schedule", "steps"),
    *("seed", "n_samples", "features", "features_weights", "precision_features", "precision_weights", "reference"),
    *("reference_fingerprint", "reference_features", "splits", "neighbours", "kid_subsets", "kid_subset_size"),
    *("nll_draws", "cas_classifier", "metrics", PURPOSE),
)
# Where a row comes from: the code that measured it and the code that trained its model (fingerprints, which
# `code.json` beside the results resolves to files), with those that it was reused from; the git commit, and whether
# the tree was as committed; the debug config. And a checksum of the row.
PROVENANCE = (
    *("code", "training_code", "reused_code", "reused_training_code", "commit", "clean", "debug", "checksum"),
)


class Results:
    """Reads and extends a results file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row, the last of each point and code; a line that is cut short or damaged is passed over."""
        return self.read()[0]

    def of(self, code: str, trained_by: str) -> dict[str, dict[str, Any]]:
        """The rows that some code measured, of a model that some code trained, by their points."""
        return {identity(row): row for row in self.rows() if origin(row) == (code, trained_by)}

    def read(self) -> tuple[list[dict[str, Any]], int]:
        """The rows, and how many lines could not be read."""
        if not self.path.exists():
            return [], 0
        lines = [line for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        rows = [row for line in lines if (row := _parse(line)) is not None]
        return list({(identity(row), *origin(row)): row for row in rows}.values()), len(lines) - len(rows)

    def append(self, row: Row) -> None:
        """Adds a row and waits until it is on the disk."""
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if whole else "\n") + json.dumps({**row, "checksum": checksum(row)}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def identity(row: Row) -> str:
    """The same for rows of the same point, measured with the same settings."""
    return fingerprint(_settings(row))


def origin(row: Row) -> tuple[str, str]:
    """The code that measured a row, and the code that trained its model; "" for what is not known."""
    return str(row.get("code", "")), str(row.get("training_code", ""))


def knobs(row: Row) -> dict[str, Any]:
    """The decoder's own settings in a row, such as `choice_temperature`."""
    return {key: value for key, value in _settings(row).items() if key not in SETTINGS}


def grid_path(folder: Path, row: Row) -> Path:
    """Where some samples of a point are drawn, in the folder of its results: those of the code that made them."""
    code = row.get("reused_code", row.get("code"))
    name = identity(row) if code is None else f"{identity(row)}-{code}"
    return folder / GRIDS / f"{name}.png"


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the rows, ordered by T.

    A distance of fewer samples than the standard is marked with a star, since its bias depends on their number.
    """
    ordered = sorted(rows, key=lambda row: row.get("steps", 0))
    shown = [_cells(row) for row in ordered]
    steps = ["T"] if any("steps" in row for row in rows) else []
    columns = [metric.column for metric in registry.of_rows(rows) if metric.column is not None]
    headings = list(dict.fromkeys([*steps, *columns]))
    return headings, [[row.get(heading, "-") for heading in headings] for row in shown]


def footnotes(rows: Sequence[Row]) -> list[str]:
    """What a reader of the table has to know."""
    notes = []
    if few := sorted({row["n_samples"] for row in rows if _is_few(row)}):
        counts = " and ".join(f"{count:,}" for count in few)
        notes.append(
            f"* from {counts} samples and not {STANDARD_SAMPLES:,}: too high by a bias that depends on their number; "
            "compare it only with distances from as many"
        )
    if rows and "cas_real_top1" in rows[0]:
        real = rows[0]["cas_real_top1"]
        notes.append(f"A classifier trained on real images instead of samples has CAS@1 {real:.3f}.")
    return notes


def _settings(row: Row) -> dict[str, Any]:
    """What a row was measured with.

    A metric of a user's own may be unknown to the process that reads the row, which names it among its `metrics`.
    """
    own = set(str(row.get("metrics", "")).split()) - set(registry.names())
    return {
        key: value
        for key, value in row.items()
        if not registry.is_measured(key)
        and key not in PROVENANCE
        and not key.startswith(VERSION)
        and key.removesuffix(registry.SPREAD) not in own
    }


def _is_few(row: Row) -> bool:
    return bool(row.get("n_samples", STANDARD_SAMPLES) < STANDARD_SAMPLES)


def _cells(row: Row) -> dict[str, str]:
    """The cells of a row, by heading."""
    cells = {"T": str(row["steps"])} if "steps" in row else {}
    for metric in registry.of_rows([row]):
        if metric.column is not None:
            star = "*" if metric.biased and _is_few(row) else ""
            cells[metric.column] = _cell(row[metric.key], metric.digits) + star
    return cells


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    whole = isinstance(row, dict) and isinstance(row.get("n_samples"), int)
    numbers = whole and all(isinstance(row[key], int | float) for key in ("steps", *_measured(row)) if key in row)
    if not numbers:
        return None
    known = row.get("checksum", None if "code" in row else checksum(row))  # rows of earlier versions have neither
    return row if known == checksum(row) else None


def _measured(row: Row) -> list[str]:
    return [key for key in row if registry.is_measured(key)]


def _cell(value: object, digits: int) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{0 if abs(value) >= 100 else digits}f}"
