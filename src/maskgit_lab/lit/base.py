"""What all trained networks share: the optimiser, the average of the weights, and a seed for every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from maskgit_lab.lit.optimizers import make_optimizer, make_scheduler
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import Optim

Batch = Sequence[Tensor]  # what a DataLoader makes of (inputs, label) items


class TrainedModule(LightningModule):
    """Trains `net` with the optimizer of its settings, and optionally keeps an EMA of its weights.

    The global generator is seeded with (seed, rank, batch) before every batch: ranks draw different noise, and a
    resumed run draws what an uninterrupted one would have drawn.
    """

    def __init__(self, net: nn.Module, optim: Optim, seed: int) -> None:
        super().__init__()
        self.net = net
        self.optim = optim
        self.seed = seed
        self.accumulate = 1  # batches per step; `fit` sets it
        self.ema = weight_ema(net, optim.ema_decay) if optim.ema_decay > 0 else None

    @property
    def best_net(self) -> nn.Module:
        """The network to evaluate: the averaged one if there is an average."""
        return self.net if self.ema is None else self.ema.module

    @property
    def n_optimizers(self) -> int:
        """The number of optimisers that take turns; Lightning counts the steps of each."""
        return 1

    def ends_step(self, batch_idx: int) -> bool:
        """Whether this batch of the epoch completes the gradients of a step."""
        return (batch_idx + 1) % self.accumulate == 0 or self.trainer.is_last_batch

    def total_steps(self) -> int:
        """The number of steps of the whole training; optimisers that take turns share a step."""
        if self.automatic_optimization:
            return int(self.trainer.estimated_stepping_batches)
        _ = self.trainer.estimated_stepping_batches  # sets up the data, whose number of batches is read below
        trainer = self.trainer
        assert trainer.max_epochs is not None
        steps = math.ceil(trainer.num_training_batches / self.accumulate) * trainer.max_epochs
        return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps // self.n_optimizers)

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Seeds the batch."""
        torch.manual_seed(mix_seeds(self.seed, self.global_rank, self.trainer.fit_loop.total_batch_idx))

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        """Updates the average after a step."""
        if self.ema is not None and self.ends_step(batch_idx):
            self.ema.update_parameters(self.net)

    def configure_optimizers(self) -> Any:
        """The optimizer and its learning-rate schedule, stepped by Lightning."""
        optimizer, scheduler = self.optimizer_for(self.net)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimizer_for(self, network: nn.Module) -> tuple[Optimizer, LRScheduler]:
        """The optimizer of a network that the settings name, and its learning-rate schedule."""
        optimizer = make_optimizer(network, self.optim)
        return optimizer, make_scheduler(optimizer, self.optim, self.total_steps())


# Not Lightning's EMAWeightAveraging: it overwrites the raw weights when training ends, so a finished run cannot be
# extended bit for bit; a finished run that is reopened gets raw weights in `net`; it rounds differently; and it copies
# and averages the whole module, the discriminator and the perceptual network included.
def weight_ema(net: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights, which starts at its first update."""
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
