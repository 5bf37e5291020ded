"""What all trained networks share: the optimiser, the average of the weights, and a seed for every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import Metric

from maskgit_lab.lit.data import SeededData
from maskgit_lab.lit.dropout import WholeBatchDropout
from maskgit_lab.lit.optimizers import make_optimizer, make_scheduler
from maskgit_lab.lit.parts import Part
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import Optim

DROPOUT_PARTS = "dropout_parts"  # in a checkpoint
MEAN = "mean"  # in what a training step returns: its loss as users are shown it, a mean over this process's images
Batch = Sequence[Tensor]  # what a DataLoader makes of (inputs, label) items


class TrainedModule(LightningModule):
    """Trains `net` with the optimizer of its settings, and optionally keeps an EMA of its weights.

    Any number of processes and accumulated batches trains the same network within rounding; see `lit.parts`. The global
    generator is seeded with (seed, part, step) before every batch: parts draw different noise, and a resumed run draws
    what an uninterrupted one would have drawn.
    """

    def __init__(self, net: nn.Module, optim: Optim, seed: int) -> None:
        super().__init__()
        self.net = net
        self.optim = optim
        self.seed = seed
        self.accumulate = 1  # batches per step; `fit` sets it
        self.step = 0  # that this batch belongs to, from 0 over the whole training
        self.part = Part(1, range(1))  # of that step which this batch is
        # The numbers of parts, one after the other, that the weights depend on; none on a CPU and without dropout.
        self.dropout_parts: list[int] = []
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
        trainer = self.trainer
        assert trainer.max_epochs is not None
        steps = math.ceil(trainer.num_training_batches / self.accumulate) * trainer.max_epochs
        return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps // self.n_optimizers)

    @property
    def draws_apart(self) -> bool:
        """Whether each part draws dropout of its own, and not its rows of what is drawn for the whole batch.

        On a GPU, the fused kernels of attention draw theirs where no other process could.
        """
        return self.device.type != "cpu"

    def with_these_parts(self) -> list[int]:
        """The numbers of parts that the weights depend on once this training goes on."""
        n_parts = self.trainer.world_size * self.accumulate
        has_dropout = any(isinstance(each, nn.Dropout) and each.p > 0 for each in self.net.modules())
        is_new = self.draws_apart and has_dropout and self.dropout_parts[-1:] != [n_parts]
        return [*self.dropout_parts, n_parts] if is_new else self.dropout_parts

    def on_train_start(self) -> None:
        """Keeps the number of parts in mind, if the weights depend on it."""
        self.dropout_parts = self.with_these_parts()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Saves the numbers of parts."""
        checkpoint[DROPOUT_PARTS] = self.dropout_parts

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the numbers of parts."""
        self.dropout_parts = list(checkpoint.get(DROPOUT_PARTS, []))

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Finds the place of the batch in the training, and seeds it."""
        self.step = self.trainer.global_step // self.n_optimizers
        self.part = self._data.part(batch_idx, self.accumulate)
        torch.manual_seed(mix_seeds(self.seed, self.part.number, self.step))

    def same_dropout(self) -> AbstractContextManager[object]:
        """Within it, dropout is that of one process, unless parts draw it apart."""
        if self.part.n_parts == 1 or self.draws_apart:
            return nullcontext()
        return WholeBatchDropout(self.part, mix_seeds(self.seed, 0, self.step))

    def of_part(self, loss: Tensor) -> dict[str, Tensor]:
        """What a training step returns, of the mean loss over the images of its part."""
        return {"loss": loss * self.part.factor, MEAN: loss.detach()}

    @property
    def _data(self) -> SeededData:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, SeededData)
        return data

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """Updates the average after a step, before a checkpoint of that step is saved."""
        super().optimizer_step(*arguments, **named)
        self.update_average()

    def update_average(self) -> None:
        """Adds the weights after a step to their average, if there is one."""
        if self.ema is not None:
            self.ema.update_parameters(self.net)

    def configure_optimizers(self) -> Any:
        """The optimizer and its learning-rate schedule, stepped by Lightning."""
        optimizer, scheduler = self.optimizer_for(self.net)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def optimizer_for(self, network: nn.Module) -> tuple[Optimizer, LRScheduler]:
        """The optimizer of a network that the settings name, and its learning-rate schedule."""
        optimizer = make_optimizer(network, self.optim)
        return optimizer, make_scheduler(optimizer, self.optim, self.total_steps())


# Not `log(..., batch_size=n, sync_dist=True)`, for which Lightning averages the counts of processes in whole numbers,
# nor torchmetrics' MeanMetric, which forgets the weights of what may be NaN.
class ValidationMean(Metric):
    """A mean over held-out images, those of all processes.

    Args:
        together: whether all processes train the network.
    """

    full_state_update = False
    total: Tensor
    n_images: Tensor

    def __init__(self, together: bool = True) -> None:
        super().__init__(sync_on_compute=together)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("n_images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, mean: Tensor, n_images: int) -> None:
        """Adds the mean over some images."""
        self.total = self.total + mean * n_images
        self.n_images = self.n_images + n_images

    def compute(self) -> Tensor:
        """The mean over all images."""
        return self.total / self.n_images


# Not Lightning's EMAWeightAveraging: it overwrites the raw weights when training ends, so a finished run cannot be
# extended bit for bit; a finished run that is reopened gets raw weights in `net`; it rounds differently; and it copies
# and averages the whole module, the discriminator and the perceptual network included.
def weight_ema(net: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights, which starts at its first update."""
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False)
