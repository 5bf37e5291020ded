"""What the trainings of both transformers share: what identifies their run, and their random numbers."""

from __future__ import annotations

from typing import Any

import torch

from maskgit_lab.lit.base import TrainedModule
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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the run's identity in its checkpoint."""
        checkpoint[IDENTITY_KEY] = self.identity

    def _generator(self, *parts: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(mix_seeds(*parts))
