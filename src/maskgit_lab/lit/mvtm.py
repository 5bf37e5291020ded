"""Masked visual token modelling (MaskGIT, section 3.1) as a LightningModule.

Shapes: B images, N tokens an image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from maskgit_lab.lit.base import Batch
from maskgit_lab.lit.monitoring.measures import masked_measures
from maskgit_lab.lit.parts import Part
from maskgit_lab.lit.transformer import TransformerModule
from maskgit_lab.masking.corruption import corrupt, draw_mask
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.mvtm import masked_cross_entropy
from maskgit_lab.settings import MVTMLoss, Optim

MASKS = 1  # the stream of masks and of dropped labels


class LitMVTM(TransformerModule):
    """Trains a transformer to predict masked tokens from the others and the class.

    Args:
        net: the transformer.
        schedule: gamma, from which mask ratios are drawn.
        optim: its optimisation.
        loss: its options.
        seed: of masks and dropout.
        identity: plain values that identify the run, stored in every checkpoint.
    """

    def __init__(
        self, net: Transformer, schedule: Schedule, optim: Optim, loss: MVTMLoss, seed: int, identity: dict[str, Any]
    ) -> None:
        super().__init__(net, optim, seed, identity)
        self.schedule = schedule
        self.loss = loss

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The smoothed cross-entropy of a batch of codes (B, N) and labels (B,)."""
        tokens_BN, labels_B = batch
        options, generator = self.loss, self._step_generator(MASKS)
        mask_BN = self._mask(tokens_BN, self.part, generator, options.min_masking_rate)
        labels_B = self._drop_labels(labels_B, options.label_dropout, generator)
        with self.same_dropout():
            logits_BNK = self.net(corrupt(tokens_BN, mask_BN, self.net.mask_id), labels_B)
        counted_BN = mask_BN if options.loss_on == "masked" else torch.ones_like(mask_BN)
        loss = masked_cross_entropy(logits_BNK, tokens_BN, counted_BN, options.label_smoothing)
        self.log("mvtm/loss", loss)
        if self.watched:
            measures = masked_measures(logits_BNK, tokens_BN, mask_BN, options.label_smoothing)
            self.log_dict({f"mvtm/{name}": value for name, value in measures.items()})
        return self.of_part(loss)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The NLL of held-out codes, with the same masks at every call."""
        tokens_BN, labels_B = batch
        number, part = self._data.val_part(batch_idx, self.accumulate)
        mask_BN = self._mask(tokens_BN, part, self._generator(self.seed, number))
        logits_BNK = self.best_net(corrupt(tokens_BN, mask_BN, self.net.mask_id), labels_B)
        loss = masked_cross_entropy(logits_BNK, tokens_BN, mask_BN)
        self.val_nll.update(loss, len(tokens_BN))
        self.log("mvtm/val_nll", self.val_nll, on_epoch=True)

    def _mask(self, tokens_BN: Tensor, part: Part, generator: torch.Generator, min_ratio: float = 0.0) -> Tensor:
        """The masks of a part, of those that are drawn for all images."""
        return part.of(draw_mask(tokens_BN[:1].expand(part.size, -1), self.schedule, generator, min_ratio))
