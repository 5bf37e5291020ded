"""Pictures of a training: reconstructions or samples, drawn every so many epochs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import nn

from maskgit_lab import ranks
from maskgit_lab.lit.base import TrainedModule

Draw = Callable[[nn.Module, int, int], None]  # a network, the number of finished epochs, and the step


class Drawing(Callback):
    """Calls `draw` with the network that is evaluated, in eval mode and without gradients, in the main process.

    Nothing is drawn where each device has only a part of the weights (FSDP, DeepSpeed).

    Args:
        draw: must draw no random numbers from torch's global generator.
        every_epochs: how often.
    """

    def __init__(self, draw: Draw, every_epochs: int) -> None:
        self.draw = draw
        self.every_epochs = every_epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws, if it is time."""
        assert isinstance(pl_module, TrainedModule)
        epochs = trainer.current_epoch + 1
        has_weights = isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)
        if epochs % self.every_epochs or not ranks.is_main() or not has_weights:
            return
        net = pl_module.best_net
        trained = {module: module.training for module in net.modules()}
        with torch.no_grad():
            self.draw(net.eval(), epochs, trainer.fit_loop.epoch_loop._batches_that_stepped - 1)
        for module, mode in trained.items():
            module.training = mode
