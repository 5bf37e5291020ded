"""What a logger of a run is given, and what each kind of logger may do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger as LightningLogger

from maskgit_lab.runs.results import Row


@dataclass(frozen=True, kw_only=True)
class Described:
    """The run that is logged."""

    name: str  # that a person reads
    job_type: str  # train, evaluate or edit
    id: str  # the same when the run is resumed
    folder: Path  # of its results
    config: Mapping[str, Any] = field(default_factory=dict)  # its settings
    say: Callable[[str], None] = lambda _: None  # is called with a line for the user
    history: Path | None = None  # metrics.csv, where the training is logged as this run


class RunLogger:
    """Keeps nothing; a logger does what it can of this.

    Args:
        lightning: takes the numbers of a training; None: there are none.
    """

    def __init__(self, lightning: LightningLogger | None = None) -> None:
        self.logger = lightning

    def earlier(self, rows: Sequence[Row]) -> None:
        """Points that earlier commands measured, which the log may have."""

    def point(self, row: Row) -> None:
        """One point of the curve."""

    def points(self, rows: Sequence[Row]) -> None:
        """All points together."""

    def scores(self, group: str, scores: Mapping[str, float]) -> None:
        """Numbers that are measured once in a run."""

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """PNG files by their names, and the step of the training that they show."""

    def checkpoints(self, paths: Sequence[Path]) -> None:
        """The files of the trained model."""

    def close(self, failed: bool) -> None:
        """Ends the log."""
