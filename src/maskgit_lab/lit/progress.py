"""How far a training is: a bar on a terminal, and a line for each epoch in a log."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from maskgit_lab.console import Terminal
from maskgit_lab.lit.base import MEAN, TrainedModule
from maskgit_lab.runs.costs import add_images


class StageBar(Callback):
    """One bar over all steps of a training, with the last loss beside it.

    Args:
        terminal: shows it.
        title: of the bar.
        in_lines: where the output is not a terminal, a line for each epoch takes its place.
    """

    def __init__(self, terminal: Terminal, title: str, in_lines: bool = False) -> None:
        self.terminal = terminal
        self.title = title
        self.has_bar = terminal.console.is_terminal
        self.in_lines = in_lines and not self.has_bar
        self._open = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the bar, at the step where a resumed run continues."""
        assert isinstance(pl_module, TrainedModule)
        self._module = pl_module
        if len(parts := pl_module.with_these_parts()) > 1:
            numbers = ", then ".join(map(str, parts))
            of = f"batches were trained in {numbers} parts (trainer.devices x trainer.accumulate)"
            self.terminal.note(self.title, f"{of}, each of which draws its own dropout, so the weights depend on it")
        self._advance = self._open.enter_context(self.terminal.bar(self.title, pl_module.total_steps()))
        self._advance(trainer.global_step // pl_module.n_optimizers)
        self._began, self._first = time.perf_counter(), trainer.current_epoch
        self.on_train_epoch_start(trainer, pl_module)  # which is not called where a training goes on within an epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts to count."""
        self._epoch_began = self._trained = time.perf_counter()
        self._items, self._is_validated = 0, False
        self._losses: list[torch.Tensor] = []  # sums over images, on the device, which then need not be waited for
        self._counted = self._own = 0  # images of this process in these sums, and since the last of them

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Keeps the learning rate, before the schedule goes on."""
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Advances the bar, and counts the images."""
        add_images(len(batch[0]))
        loss = outputs.get(MEAN) if isinstance(outputs, dict) else None
        if self.has_bar:
            steps = int(self._module.ends_step(batch_idx))
            self._advance(steps, note="" if loss is None else f"loss {float(loss):.3f}")
        if self.in_lines:
            self._items += len(batch[0]) * trainer.world_size
            self._own += len(self._module.part.rows)
            self._trained = time.perf_counter()
            if loss is not None:
                self._losses.append(loss * self._own)
                self._counted, self._own = self._counted + self._own, 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch has scores."""
        self._is_validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the line of an epoch."""
        if self.in_lines and self._losses:
            self.terminal.say(f"{'':<10} {'  '.join(self._words(trainer))}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the bar."""
        self._open.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bar."""
        self._open.close()

    def _words(self, trainer: Trainer) -> list[str]:
        """What is known of an epoch at its end: its mean loss, the first score of its validation, its speed."""
        steps = math.ceil(trainer.num_training_batches / self._module.accumulate)
        epochs, total = trainer.current_epoch + 1, math.ceil(self._module.total_steps() / steps)
        loss = float(torch.stack(self._losses).sum()) / max(self._counted, 1)
        scores = [
            f"{name.partition('/')[2]} {float(value):.4g}"
            for name, value in trainer.callback_metrics.items()
            if "/val_" in name and self._is_validated
        ]
        speed = self._items / max(self._trained - self._epoch_began, 1e-9)
        seconds = (time.perf_counter() - self._began) / (epochs - self._first) * (total - epochs)
        left = [f"eta {_duration(seconds)}"] if total > epochs else []
        shown = [f"epoch {epochs}/{total}", f"loss {loss:.4g}", *scores[:1], f"lr {self._lr:.2g}"]
        return [*shown, f"{speed:,.0f} images/s", *left]


def _duration(seconds: float) -> str:
    """In the two largest units."""
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 48:
        return f"{int(hours // 24)} d {int(hours % 24)} h"
    if hours >= 1:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(minutes)} min {int(seconds % 60)} s" if minutes >= 1 else f"{seconds:.0f} s"
