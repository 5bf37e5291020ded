"""Next-token prediction as a LightningModule: the baseline of the paper's Table 1.

Shapes: B images, N tokens an image.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from maskgit_lab.lit.base import Batch
from maskgit_lab.lit.transformer import TransformerModule
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.autoregressive import next_token_cross_entropy
from maskgit_lab.settings import Optim

LABELS = 1  # the stream of dropped labels


class LitAutoregressive(TransformerModule):
    """Trains a causal transformer to predict each token from the class and those before it.

    Args:
        net: the transformer.
        optim: its optimisation.
        label_smoothing: of the loss.
        label_dropout: share of the images that are trained without their class.
        seed: of dropout and of the labels that are dropped.
        identity: plain values that identify the run, stored in every checkpoint.
    """

    def __init__(
        self,
        net: Transformer,
        optim: Optim,
        label_smoothing: float,
        label_dropout: float,
        seed: int,
        identity: dict[str, Any],
    ) -> None:
        super().__init__(net, optim, seed, identity)
        self.label_smoothing = label_smoothing
        self.label_dropout = label_dropout

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The smoothed cross-entropy of a batch of codes (B, N) and labels (B,)."""
        tokens_BN, labels_B = batch
        labels_B = self._drop_labels(labels_B, self.label_dropout, self._step_generator(LABELS))
        with self.same_dropout():
            logits_BNK = self.net(tokens_BN, labels_B)
        loss = next_token_cross_entropy(logits_BNK, tokens_BN, self.label_smoothing)
        self.log("autoregressive/loss", loss)
        if self.watched:
            self.log("autoregressive/accuracy", (logits_BNK.argmax(-1) == tokens_BN).float().mean())
        return self.of_part(loss)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The exact NLL of held-out codes, in nats per token."""
        tokens_BN, labels_B = batch
        loss = next_token_cross_entropy(self.best_net(tokens_BN, labels_B), tokens_BN)
        self.val_nll.update(loss, len(tokens_BN))
        self.log("autoregressive/val_nll", self.val_nll, on_epoch=True)
