"""What all trained networks share: the optimiser, the average of the weights, and a seed for every step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import Optim

Batch = Sequence[Tensor]  # what a DataLoader makes of (inputs, label) items


class TrainedModule(LightningModule):
    """Trains `net` with AdamW and a warm-up, and optionally keeps an EMA of its weights.

    The global generator is seeded with (seed, rank, batch) before every batch: ranks draw different noise, and a
    resumed run draws what an uninterrupted one would have drawn.
    """

    def __init__(self, net: nn.Module, optim: Optim, seed: int) -> None:
        super().__init__()
        self.net = net
        self.optim = optim
        self.seed = seed
        self.accumulate = 1  # batches per step; `fit` sets it
        self.watched = False  # whether the details of this batch are logged; the monitor sets it
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
        steps = math.ceil(self.trainer.num_training_batches / self.accumulate) * self.optim.epochs
        return min(steps, self.optim.max_steps or steps)

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Seeds the batch."""
        torch.manual_seed(mix_seeds(self.seed, self.global_rank, self.trainer.fit_loop.total_batch_idx))

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        """Updates the average after a step."""
        if self.ema is not None and self.ends_step(batch_idx):
            self.ema.update_parameters(self.net)

    def configure_optimizers(self) -> Any:
        """AdamW and its learning-rate schedule, stepped by Lightning."""
        optimizer, scheduler = self.optimizer_for(self.net.parameters())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimizer_for(self, parameters: Iterable[nn.Parameter]) -> tuple[torch.optim.AdamW, LambdaLR]:
        """AdamW with weight decay on matrices only, and its learning-rate schedule."""
        chosen = [p for p in parameters if p.requires_grad]
        groups = [
            {"params": [p for p in chosen if p.ndim >= 2], "weight_decay": self.optim.weight_decay},
            {"params": [p for p in chosen if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.optim.lr, betas=(self.optim.betas[0], self.optim.betas[1]))
        total = self.total_steps()
        return optimizer, LambdaLR(optimizer, lambda step: lr_factor(step, total, self.optim))


def lr_factor(step: int, total_steps: int, optim: Optim) -> float:
    """The learning rate at a step, in units of `optim.lr`: linear warm-up, then constant or half a cosine to 0."""
    if step < optim.warmup_steps:
        return (step + 1) / optim.warmup_steps
    if optim.decay == "none":
        return 1.0
    progress = (step - optim.warmup_steps) / max(1, total_steps - optim.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


# Not Lightning's EMAWeightAveraging: it overwrites the raw weights when training ends, so a finished run cannot be
# extended bit for bit; a finished run that is reopened gets raw weights in `net`; it rounds differently; and it copies
# and averages the whole module, the discriminator and the perceptual network included.
def weight_ema(net: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights, which starts at its first update."""
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
