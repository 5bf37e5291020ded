"""What W&B has of a run, held against what the run's own files have: what W&B has lost is sent again."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import wandb
from wandb.apis.public import Api

from maskgit_lab.lit.monitoring.history import KEYS

AXIS = "trainer/global_step"  # the step of a training
SECONDS = 30  # that the server may take for an answer
UPLOAD_SECONDS = 60  # that it may take to upload what was logged offline
OF_THE_PARENT = ("WANDB_SERVICE", "WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_MODE")

TrainingRow = tuple[str, int, Mapping[str, float]]  # stage, step, and numbers by their names


class History:
    """What was logged of a run already.

    Args:
        rows: a dict for each time that something was logged.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.others: list[Mapping[str, Any]] = []  # what is of no training, among it all points
        self._steps = set[tuple[str, float]]()
        for row in rows:
            if AXIS in row:
                self._steps |= {(name, row[AXIS]) for name in row}
            if "epoch" not in row:  # which Lightning adds
                self.others.append(row)

    def lacks(self, rows: Sequence[TrainingRow]) -> Iterator[dict[str, float]]:
        """What is missing of a training, each with its step.

        Args:
            rows: of `metrics.csv`, in which names begin with the stage even where they were logged without it.
        """
        for stage, step, numbers in rows:
            lost = {name: value for name, value in numbers.items() if not self._knows(name, stage, step)}
            if lost:
                yield {**lost, AXIS: step}

    def _knows(self, name: str, stage: str, step: int) -> bool:
        return (name, step) in self._steps or (name.removeprefix(f"{stage}/"), step) in self._steps


def is_logged(values: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether all of some values were logged together."""
    return any(values.items() <= row.items() for row in rows)


def training_rows(path: Path | None) -> list[TrainingRow]:
    """The rows of a `metrics.csv`; none where there is no such file. What cannot be read is passed over."""
    if path is None or not path.exists():
        return []
    found: list[TrainingRow] = []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            stage, step = row.get("stage") or "", row.get("step") or ""
            if step.isdigit():
                found.append((stage, int(step), _numbers(row)))
    return found


def on_server(run: wandb.Run) -> Iterator[dict[str, Any]]:
    """All that the server has of a run."""
    api = Api(timeout=SECONDS)
    yield from api.run(f"{run.entity}/{run.project}/{run.id}").scan_history(use_cache=False)


def upload(folders: Sequence[Path]) -> None:
    """Uploads what was logged offline, by W&B's own command, which marks each folder that it has uploaded."""
    if not folders:
        return
    environment = {name: value for name, value in os.environ.items() if name not in OF_THE_PARENT}
    command = [sys.executable, "-P", "-m", "wandb", "sync", *(f"wandb/{folder.name}" for folder in folders)]
    home = folders[0].parent.parent  # below which this command writes a log of its own
    with suppress(subprocess.TimeoutExpired):  # what is missing then is sent from the run's own files
        subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=UPLOAD_SECONDS, check=False)


def _numbers(row: Mapping[Any, Any]) -> dict[str, float]:
    numbers = {}
    for name, cell in row.items():
        if isinstance(name, str) and isinstance(cell, str) and name not in KEYS:
            try:
                numbers[name] = float(cell)
            except ValueError:
                continue
    return numbers
