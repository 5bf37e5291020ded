"""What a stage asks to be shown and kept of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.loggers import Logger

from maskgit_lab.lit.monitoring.history import MetricsFile
from maskgit_lab.lit.monitoring.monitor import Monitor
from maskgit_lab.lit.monitoring.pictures import Draw, Drawing


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A training that one can watch."""

    stage: str  # tokenizer, mvtm or autoregressive
    history: Path  # metrics.csv
    loggers: Sequence[Logger] = ()  # Lightning's, besides that file
    draw: Draw | None = None
    draw_every_epochs: int | None = None  # None: no pictures

    def attach(self) -> tuple[Monitor, list[Drawing], list[Logger]]:
        """The callbacks and the loggers of one training."""
        file = MetricsFile(self.history, self.stage)
        drawing = [Drawing(self.draw, self.draw_every_epochs)] if self.draw and self.draw_every_epochs else []
        return Monitor(self.stage, file), drawing, [file, *self.loggers]
