"""`Run`, the one object that carries a command's work: settings, folder, console, store, logger and hardware."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from rich.console import Console

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.devices import device_of
from maskgit_lab.errors import UserError
from maskgit_lab.runs.costs import Costs, as_scores, sentence
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.record import Record
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.store import Store
from maskgit_lab.settings import CommonConf, Hardware

S_co = TypeVar("S_co", bound=CommonConf, covariant=True)
S = TypeVar("S", bound=CommonConf)
T = TypeVar("T")


@runtime_checkable
class Logger(Protocol):
    """Where a run's numbers and pictures go besides its folder."""

    @property
    def lightning(self) -> Sequence[Any]:
        """The loggers of Lightning's trainer."""
        ...

    def earlier(self, rows: Sequence[Row]) -> None:
        """Points that were measured before this command, for a logger that does not have them."""

    def point(self, row: Row) -> None:
        """One point of the curve."""

    def points(self, rows: Sequence[Row]) -> None:
        """All points together, and the best of each metric."""

    def scores(self, group: str, scores: Mapping[str, float]) -> None:
        """Numbers that are measured once in a run."""

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """PNG files by their names, and the step of the training that they show; None: after it."""

    def checkpoints(self, paths: Sequence[Path]) -> None:
        """The files of the trained model."""


class NoLogger:
    """Keeps nothing."""

    lightning: Sequence[Any] = ()

    def earlier(self, rows: Sequence[Row]) -> None: ...
    def point(self, row: Row) -> None: ...
    def points(self, rows: Sequence[Row]) -> None: ...
    def scores(self, group: str, scores: Mapping[str, float]) -> None: ...
    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None: ...
    def checkpoints(self, paths: Sequence[Path]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Run(Generic[S_co]):
    """One command's work."""

    settings: S_co  # of the command
    console: Terminal  # what the user sees
    store: Store  # what runs share
    home: RunFolder | None = None  # the folder of the run; None where something else than a run is evaluated
    asked: str = ""  # what it asks to be measured; see `evaluation.code.asked_for`
    logger: Logger = field(default_factory=NoLogger)  # of numbers and pictures
    together: bool = True  # whether every process takes part, or the main one works alone
    costs: Costs = field(default_factory=Costs)  # of the stages
    # What this command has made already and needs again, by fingerprint.
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> RunFolder:
        """The folder of the run."""
        if self.home is None:
            raise UserError("this needs a run: give checkpoint=RUN_DIR")
        return self.home

    @property
    def record(self) -> Record:
        """What is finished in the run."""
        return self.folder.record

    @property
    def hardware(self) -> Hardware:
        """On what to train."""
        hardware = self.settings.trainer
        return hardware if self.together else replace(hardware, devices=1, num_nodes=1, accumulate=1)

    @property
    def device(self) -> torch.device:
        """Where networks are evaluated."""
        return device_of(self.settings.trainer.accelerator)

    def mark(self, **parts: Any) -> None:
        """Records that parts of the run are finished, and which entries of the store it has used."""
        for part, value in parts.items():
            setattr(self.record, part, value)
        self.record.used = sorted({*self.record.used, *self.store.used})
        self.folder.save()

    def kept_costs(self, folder: Path | None) -> Costs:
        """The costs of this command from now on, kept in a folder."""
        return Costs(folder, self.device)

    def log_costs(self) -> None:
        """Gives the loggers what the run has cost up to now; every process calls this."""
        self.costs.write()
        ranks.barrier()  # until each of them has done so
        if stages := self.costs.total():
            self.logger.scores("cost", as_scores(stages))

    def show_costs(self) -> None:
        """Prints what the run has cost, over all commands."""
        if stages := self.costs.total():
            self.console.note("cost", sentence(stages))

    def by_main(self, work: Callable[[Run[S_co]], T]) -> T:
        """What the main process makes alone, on one device, while the others wait; every process calls this."""
        alone = replace(self, store=self.store.alone(), together=False)
        return ranks.share(work(alone) if ranks.is_main() else None)  # type: ignore[return-value]


def begin(settings: S) -> Run[S]:
    """The work of a command; of several processes the main one alone writes to the terminal."""
    console = Terminal(Console(quiet=True) if not ranks.is_main() else None)
    store = Store(Path(settings.cache_dir).resolve(), lambda line: console.note("cache", line))
    store.hold()
    return Run(settings=settings, console=console, store=store)
