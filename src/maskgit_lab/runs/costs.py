"""What a run costs: core-hours, GPU-hours, energy and images of each stage, over all its commands and processes.

Every process of every command writes a file of its own, `costs/<random>.json`, about once a minute and when a stage
ends: a process that is killed loses a minute, and no two write the same file. What is found in the cache costs what it
takes to read; making it is in the costs of the run that made it.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from maskgit_lab.runs.energy import joules
from maskgit_lab.runs.names import COSTS

EVERY = 60.0  # seconds between two writings of a stage that goes on
SMALL = 0.005  # the share of a stage that is left out of a line
HOUR, KWH = 3600, 3.6e6  # in seconds, in joules
_open: list[Costs] = []  # of the stage that this process is in; its last is counted for


@dataclass(frozen=True)
class Cost:
    """What something has cost."""

    core_hours: float = 0.0  # of the processors: user and system time, also of processes that load data
    gpu_hours: float = 0.0  # wall time, for each process that has a GPU
    kwh: float = 0.0  # of the GPUs, as far as they tell
    images: int = 0  # trained on (again in each epoch), encoded, or sampled

    def __add__(self, other: Cost) -> Cost:
        return Cost(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})

    def __str__(self) -> str:
        """As in `1.2 GPU-hours, 3.4 core-hours, 0.56 kWh, 1,234 images`."""
        hours = {"GPU-hours": self.gpu_hours, "core-hours": self.core_hours, "kWh": self.kwh}
        said = [f"{value:.3g} {unit}" for unit, value in hours.items() if value]
        return ", ".join([*said, f"{self.images:,} images"])


class Costs:
    """What the stages of one process cost, from now on.

    Args:
        folder: of the run, which exists; None: nothing is kept.
        device: where the networks are.
    """

    def __init__(self, folder: Path | None = None, device: torch.device | None = None) -> None:
        self.folder = folder
        self.device = device or torch.device("cpu")
        self._file = f"{secrets.token_hex(8)}.json"
        self._stages: dict[str, Cost] = {}
        self._now: str | None = None  # the stage that goes on
        self._lock = threading.Lock()
        self._images = 0
        self._last = self._clocks()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What happens inside is a stage's cost, and no longer that of the stage around it."""
        before, stopped = self._now, threading.Event()
        self._enter(name)
        _open.append(self)
        threading.Thread(target=partial(self._tick, stopped), daemon=True).start()
        try:
            yield
        finally:
            stopped.set()
            _open.pop()
            self._enter(before)
            self.write()

    def add_images(self, count: int) -> None:
        """Counts images for the stage that goes on."""
        with self._lock:
            self._images += count

    def total(self) -> dict[str, Cost]:
        """What each stage of the run has cost, over all commands and processes."""
        return costs_of([self.folder]) if self.folder is not None else dict(self._stages)

    def _tick(self, stopped: threading.Event) -> None:
        while not stopped.wait(EVERY):
            self.write()

    def _enter(self, name: str | None) -> None:
        with self._lock:
            self._settle()
            self._now = name

    def _settle(self) -> None:
        """Adds what was spent since the last call to the stage that goes on."""
        now = self._clocks()
        cores, gpus, energy = (max(0.0, after - before) for before, after in zip(self._last, now, strict=True))
        if self._now is not None:
            spent = Cost(cores / HOUR, gpus / HOUR, energy / KWH, self._images)
            self._stages[self._now] = self._stages.get(self._now, Cost()) + spent
        self._last, self._images = now, 0

    def _clocks(self) -> tuple[float, float, float]:
        """Seconds of the cores, seconds of the GPU, and joules."""
        times = os.times()
        cores = times.user + times.system + times.children_user + times.children_system
        on_gpu = self.device.type != "cpu"
        return cores, time.perf_counter() if on_gpu else 0.0, joules(self.device) or 0.0

    def write(self) -> None:
        """Writes what was spent up to now; where that cannot be written, nothing else fails for it."""
        with self._lock, suppress(OSError):
            self._settle()
            if self.folder is None:
                return
            path = self.folder / COSTS / self._file
            text = json.dumps({name: asdict(cost) for name, cost in self._stages.items()}, indent=1)
            path.parent.mkdir(exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)


def add_images(count: int) -> None:
    """Counts images for the stage that this process is in, if any."""
    if _open:
        _open[-1].add_images(count)


def costs_of(folders: Iterable[Path]) -> dict[str, Cost]:
    """What each stage of some runs has cost together; the costs of a run that was copied count once.

    A file that is damaged is passed over.
    """
    files = {path.name: path for folder in folders for path in sorted((folder / COSTS).glob("*.json"))}
    total: dict[str, Cost] = {}
    for stages in filter(None, map(_read, files.values())):
        for name, cost in stages.items():
            total[name] = total.get(name, Cost()) + cost
    return total


def together(stages: Mapping[str, Cost]) -> Cost:
    """What all stages have cost."""
    return sum(stages.values(), Cost())


def sentence(stages: Mapping[str, Cost]) -> str:
    """One line: all stages together, and the hours of each that matters."""
    whole = together(stages)
    hours: Callable[[Cost], float] = (
        (lambda cost: cost.gpu_hours) if whole.gpu_hours else (lambda cost: cost.core_hours)
    )
    large = {name: cost for name, cost in stages.items() if hours(cost) > SMALL * hours(whole)}
    parts = ", ".join(f"{name} {hours(cost):.2g}" for name, cost in large.items())
    return f"{whole} ({'GPU' if whole.gpu_hours else 'core'}-hours: {parts})"


def as_scores(stages: Mapping[str, Cost]) -> dict[str, float]:
    """For loggers: `core_hours` and the like of all stages, and `<stage>_core_hours` of each."""
    whole = {name: value for name, value in asdict(together(stages)).items() if value}
    return whole | {
        f"{stage}_{name}": value for stage, cost in stages.items() for name, value in asdict(cost).items() if value
    }


def _read(path: Path) -> dict[str, Cost] | None:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): replace(Cost(), **values) + Cost() for name, values in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
