"""Training of a classifier, for features and for CAS, as a LightningModule.

Shapes: B images, H x W pixels, C classes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from maskgit_lab.data.augment import Centre
from maskgit_lab.lit.base import Batch, TrainedModule, ValidationMean
from maskgit_lab.settings import Optim


class LitClassifier(TrainedModule):
    """Trains a classifier with cross-entropy and measures its top-1 and top-5 accuracy, fractions in [0, 1].

    Args:
        net: images (B, 3, H, W) in [0, 1] to logits (B, C).
        n_classes: C.
        optim: its optimisation.
        label_smoothing: of the cross-entropy.
        seed: of dropout and of the order.
        centre: what it is tested on, of images (B, 3, H, W).
        together: whether all processes train it, so that the accuracy is gathered from them.
    """

    def __init__(
        self,
        net: nn.Module,
        n_classes: int,
        optim: Optim,
        label_smoothing: float,
        seed: int,
        centre: Centre,
        together: bool = True,
    ) -> None:
        super().__init__(net, optim, seed)
        self.label_smoothing = label_smoothing
        self.centre = centre
        self.top1 = MulticlassAccuracy(n_classes, average="micro", sync_on_compute=together)
        top_k = min(5, n_classes)
        self.top5 = MulticlassAccuracy(n_classes, average="micro", top_k=top_k, sync_on_compute=together)
        self.val_loss = ValidationMean(together)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The cross-entropy of images (B, 3, H, W) in [0, 1] and labels (B,)."""
        images, labels_B = batch
        with self.same_dropout():
            logits_BC = self.net(images)
        return self.of_part(F.cross_entropy(logits_BC, labels_B, label_smoothing=self.label_smoothing))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Accuracy on real held-out images, and the cross-entropy, which shows it if the training diverged."""
        images, labels_B = batch
        logits_BC = self.best_net(self.centre(images))
        self.top1(logits_BC, labels_B)
        self.top5(logits_BC, labels_B)
        self.val_loss.update(F.cross_entropy(logits_BC.float(), labels_B), len(images))
        metrics = {"top1": self.top1, "top5": self.top5, "val_loss": self.val_loss}
        self.log_dict({f"classifier/{name}": metric for name, metric in metrics.items()}, on_epoch=True)
