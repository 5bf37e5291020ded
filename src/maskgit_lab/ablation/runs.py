"""The runs below a folder: their rows, what they were trained with, and what is missing or damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from maskgit_lab.ablation.results import RESULTS, Results, Row, identity
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.settings import flatten

CONFIG, RECORD = "config.yaml", "run.json"
# Keys of a config that do not say how the model was trained, or that a curve compares: seeds and schedules.
NOT_OF_THE_TRAINING = {
    *("seed", "schedule", "decode", "eval", "features", "classifier", "cas", "run_dir", "cache_dir", "stage"),
    *("logger", "trainer", "sweep", "sweeps", "wait", "name"),
}
NOT_RUNS = {"checkpoints", "pictures", "grids", "samples", "wandb"}  # what a run's folder holds
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it was built


@dataclass(frozen=True)
class Run:
    """A folder with results.

    Args:
        path: of the folder.
        rows: the last of each point.
        training: a fingerprint of how its model was trained, apart from schedule and seed; "": unknown.
        n_cut: lines of results that could not be read.
        settings: what `training` stands for, by dotted keys.
        faults: what is damaged or missing, each as half a sentence.
    """

    path: Path
    rows: list[Row]
    training: str
    n_cut: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def grid(self, row: Row) -> Path | None:
        """The tile picture of a row's samples, or else the run's own grid of samples, if there is one."""
        own = self.path / "grids" / f"{identity(row)}.png"
        found = (path for path in (own, self.path / "pictures" / "samples.png") if path.is_file())
        return next(found, None)


def find_runs(folder: Path) -> list[Run]:
    """Every run below a folder, at any depth, in the order of their paths.

    Raises:
        UserError: there is no such folder, or no run in it.
    """
    if not folder.exists():
        raise UserError(f"runs={folder} does not exist: name a folder that holds runs, such as outputs/digits")
    if not folder.is_dir():
        raise UserError(f"runs={folder} is a file: name the folder that holds the runs")
    runs = [_read(path) for path in sorted(_run_folders(folder))]
    if not any(run.rows for run in runs):
        what = f"{len(runs)} runs without a single result" if runs else f"no {RESULTS}"
        raise UserError(f"runs={folder} holds {what}: train and evaluate something first, or name another folder")
    return runs


def _run_folders(folder: Path) -> Iterator[Path]:
    """Links are followed, since runs may lie on several disks, but no folder is visited twice."""
    seen = set()
    for place, below, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        is_run = RESULTS in files or (RECORD in files and CONFIG in files)
        passed = NOT_RUNS if is_run else set()
        below[:] = sorted(name for name in below if not name.startswith(".") and name not in passed)
        if is_run:
            yield Path(place)


def _read(path: Path) -> Run:
    rows, n_cut = Results(path / RESULTS).read()
    config, faults = _config(path / CONFIG)
    settings = flatten({key: value for key, value in config.items() if key not in NOT_OF_THE_TRAINING})
    training = fingerprint({key: str(value) for key, value in settings.items()}) if settings else ""
    return Run(path, list(rows), training, n_cut, settings, (*faults, *_unfinished(path, config, rows)))


def _config(path: Path) -> tuple[dict[str, Any], list[str]]:
    if not path.is_file():
        return {}, []
    try:
        config = yaml.load(path.read_bytes(), Loader=_Loader)  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        return {}, ["its config.yaml is damaged, so that how it was trained is not known"]
    return {str(key): value for key, value in config.items()}, []


def _unfinished(path: Path, config: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """What the run was asked for and has not done yet."""
    if config.get("stage") != "all" or not (path / RECORD).is_file():
        return []
    try:
        done = json.loads((path / RECORD).read_text(encoding="utf-8"))["done"]
    except (ValueError, KeyError, TypeError):
        return ["its run.json is damaged"]
    if "evaluation" in done:
        return []
    asked = config.get("eval")
    steps = asked.get("steps") if isinstance(asked, dict) else None
    measured = {row.get("steps") for row in rows}
    missing = [str(t) for t in steps if t not in measured] if isinstance(steps, list) else []
    what = f"T = {', '.join(missing)} not measured yet" if missing else "its evaluation is not marked as done"
    return [f"unfinished: {what if 'mvtm' in done else 'its training has not ended'}"]


@cache
def short_names(paths: tuple[Path, ...]) -> Mapping[Path, str]:
    """The paths without the folder that they have in common."""
    common = Path(os.path.commonpath(paths)) if len(paths) > 1 else paths[0].parent
    return {path: path.relative_to(common).as_posix() for path in paths}
