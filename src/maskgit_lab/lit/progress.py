"""The suite's progress bar for Lightning's training loop."""

from __future__ import annotations

from contextlib import ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer

from maskgit_lab.console import Terminal
from maskgit_lab.lit.base import TrainedModule


class StageBar(Callback):
    """One bar over all steps of a training, with the last loss beside it."""

    def __init__(self, terminal: Terminal, title: str) -> None:
        self.terminal = terminal
        self.title = title
        self._open = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the bar, at the step where a resumed run continues."""
        assert isinstance(pl_module, TrainedModule)
        self._module = pl_module
        self._advance = self._open.enter_context(self.terminal.bar(self.title, pl_module.total_steps()))
        self._advance((trainer.fit_loop.total_batch_idx + 1) // pl_module.accumulate)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Advances the bar."""
        loss = outputs["loss"] if isinstance(outputs, dict) else None
        steps = int(self._module.ends_step(batch_idx))
        self._advance(steps, note="" if loss is None else f"loss {float(loss):.3f}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the bar."""
        self._open.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bar."""
        self._open.close()
