"""What the trainings of both transformers share: what identifies their run, and their random numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from maskgit_lab.lit.base import TrainedModule, ValidationMean
from maskgit_lab.masking.corruption import draw_dropped
from maskgit_lab.nets.checkpoints import IDENTITY_KEY
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import Optim


class TransformerModule(TrainedModule):
    """Trains a transformer on codes.

    Args:
        net: the transformer.
        optim: its optimisation.
        seed: of all that is random in a step.
        identity: plain values that identify the run, stored in every checkpoint.
    """

    net: Transformer

    def __init__(self, net: Transformer, optim: Optim, seed: int, identity: dict[str, Any]) -> None:
        super().__init__(net, optim, seed)
        self.identity = identity
        self.val_nll = ValidationMean()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the run's identity in its checkpoint."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[IDENTITY_KEY] = self.identity

    def _step_generator(self, stream: int) -> torch.Generator:
        """The random numbers of this step's images, the same in every part; dropout draws from other streams."""
        return self._generator(self.seed, 0, self.step, stream)

    def _drop_labels(self, labels_B: Tensor, rate: float, generator: torch.Generator) -> Tensor:
        """The labels of this part, some of them replaced by that of no class (Ho and Salimans 2022)."""
        dropped_B = self.part.of(draw_dropped(self.part.size, rate, generator))
        return labels_B.masked_fill(dropped_B, self.net.null_label)

    def _generator(self, *parts: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(mix_seeds(*parts))
