"""Masked visual token modelling (MaskGIT, section 3.2) as a LightningModule.

Shapes: B images, N tokens an image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from maskgit_lab.lit.base import Batch, TrainedModule
from maskgit_lab.masking.corruption import corrupt, draw_mask
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.mvtm import masked_cross_entropy
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import Optim

IDENTITY_KEY = "maskgit_lab"
MASKS = 1  # masks draw from another stream than dropout, which has (seed, rank, step) alone


class LitMVTM(TrainedModule):
    """Trains a transformer to predict masked tokens from the others and the class.

    Args:
        net: the transformer.
        schedule: gamma, from which mask ratios are drawn.
        optim: its optimisation.
        label_smoothing: of the training loss.
        seed: of masks and dropout.
        identity: plain values that name the run; every checkpoint carries them.
    """

    net: Transformer

    def __init__(
        self,
        net: Transformer,
        schedule: Schedule,
        optim: Optim,
        label_smoothing: float,
        seed: int,
        identity: dict[str, Any],
    ) -> None:
        super().__init__(net, optim, seed)
        self.schedule = schedule
        self.label_smoothing = label_smoothing
        self.identity = identity

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The smoothed cross-entropy of a batch of codes (B, N) and labels (B,)."""
        step = self.trainer.fit_loop.total_batch_idx
        generator = self._generator(self.seed, self.global_rank, step, MASKS)
        loss = self._loss(self.net, batch, generator, self.label_smoothing)
        self.log("mvtm/loss", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The NLL of held-out codes under the same masks at every call."""
        generator = self._generator(self.seed, batch_idx)
        loss = self._loss(self.best_net, batch, generator, label_smoothing=0.0)
        self.log("mvtm/val_nll", loss, on_epoch=True, batch_size=len(batch[0]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Names the run in its checkpoint."""
        checkpoint[IDENTITY_KEY] = self.identity

    def _generator(self, *parts: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(mix_seeds(*parts))

    def _loss(self, net: torch.nn.Module, batch: Batch, generator: torch.Generator, label_smoothing: float) -> Tensor:
        tokens_BN, labels_B = batch
        mask_BN = draw_mask(tokens_BN, self.schedule, generator)
        logits_BNK = net(corrupt(tokens_BN, mask_BN, self.net.mask_id), labels_B)
        return masked_cross_entropy(logits_BNK, tokens_BN, mask_BN, label_smoothing)
