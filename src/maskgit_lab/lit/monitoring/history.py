"""`metrics.csv`: what was logged of the trainings of a run, a row for each step, in every run."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from maskgit_lab import ranks

KEYS = ("stage", "epoch", "step")  # the first columns


class MetricsFile(Logger):
    """Adds the rows of a training to a CSV file; the main process alone writes.

    Unlike Lightning's `CSVLogger` it goes on with a file that is there. A row is on the disk as soon as it is logged,
    and goes into the file's last line again if more is logged of the same step.

    Args:
        path: the file; its columns are `stage`, `epoch`, `step` and the names of what was logged.
        stage: `tokenizer`, `mvtm` or `autoregressive`, of this training; names that do not begin with it get it in
            front.
    """

    def __init__(self, path: Path, stage: str) -> None:
        super().__init__()
        self.path = path
        self.stage = stage
        self._columns: list[str] = []
        self._last: dict[str, str] = {}
        self._start = 0  # of the last line, in bytes

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.stem

    @property
    def version(self) -> str:
        """There is only one."""
        return ""

    def begin(self, steps: int) -> None:
        """Reads the file as it is, without what this training logged after its first steps.

        Args:
            steps: that are done, by the checkpoint from which the training goes on.
        """
        if not ranks.is_main():
            return
        rows = [row for row in self._read() if row["stage"] != self.stage or int(row["step"]) < steps]
        self._columns = list(dict.fromkeys([*KEYS, *(name for row in rows for name, value in row.items() if value)]))
        self._last = {}
        if rows or self.path.exists():
            self._write_all(rows)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Adds a row, or fills in the last one."""
        if not ranks.is_main() or step is None:
            return
        if not self._columns:
            self.begin(sys.maxsize)
        row = {"stage": self.stage, "step": str(step)}
        row |= {self._called(name): _cell(value) for name, value in metrics.items()}
        is_same = all(self._last.get(key) == row[key] for key in ("stage", "step"))
        if new := [name for name in (*KEYS, *row) if name not in self._columns]:
            self._columns += dict.fromkeys(new)
            self._write_all(self._read())
        if is_same:
            row = self._last | {name: cell for name, cell in row.items() if name not in KEYS}
        with self.path.open("r+b") as file:
            self._start = self._start if is_same else file.seek(0, 2)
            file.seek(self._start)
            file.write(self._lines([row]).encode())
            file.truncate()
        self._last = row

    def log_hyperparams(self, *arguments: Any, **more: Any) -> None:
        """The run keeps its settings elsewhere."""

    def _called(self, name: str) -> str:
        return name if name in KEYS or name.startswith(f"{self.stage}/") else f"{self.stage}/{name}"

    def _read(self) -> list[dict[str, str]]:
        """The rows of the file, without one that was cut short."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file, restval=None))
        return [row for row in rows if None not in row.values() and None not in row and row.get("step", "").isdigit()]

    def _write_all(self, rows: list[dict[str, str]]) -> None:
        """Replaces the file, whole or not at all."""
        temporary = self.path.with_suffix(".csv.partial")
        temporary.write_text(self._lines([dict(zip(self._columns, self._columns, strict=True)), *rows]), "utf-8")
        temporary.replace(self.path)
        self._start = self.path.stat().st_size - (len(self._lines([self._last]).encode()) if self._last else 0)

    def _lines(self, rows: list[dict[str, str]]) -> str:
        text = StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n", extrasaction="ignore").writerows(rows)
        return text.getvalue()


def _cell(value: Any) -> str:
    """Nine digits tell every number of 32 bits from the others."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
