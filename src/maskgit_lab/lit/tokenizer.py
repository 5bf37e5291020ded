"""The tokenizer's training (MaskGIT, section 3.1; VQGAN) as a LightningModule.

Shapes: B images, H x W pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from maskgit_lab.lit.base import Batch, TrainedModule
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.objectives.adversarial import discriminator_loss, generator_loss, r1_penalty
from maskgit_lab.objectives.quantization import codebook_loss, codebook_usage, commitment_loss, entropy_loss
from maskgit_lab.settings import Optim, TokenizerLosses


class LitTokenizer(TrainedModule):
    """Trains a VQGAN; the discriminator and the perceptual loss take part only where they are given.

    Args:
        net: the VQGAN.
        weights: of the losses.
        optim: of the VQGAN and, with the same settings, of the discriminator.
        seed: of the steps.
        discriminator: maps images to one logit each.
        perceptual: maps (reconstructions, images) to a distance.
    """

    net: VQGAN

    def __init__(
        self,
        net: VQGAN,
        weights: TokenizerLosses,
        optim: Optim,
        seed: int,
        discriminator: nn.Module | None = None,
        perceptual: nn.Module | None = None,
    ) -> None:
        super().__init__(net, optim, seed)
        self.weights = weights
        self.discriminator = discriminator
        self.perceptual = perceptual
        self.automatic_optimization = False  # two optimisers take turns
        self.val_codes: list[Tensor] = []

    def configure_optimizers(self) -> Any:
        """One optimiser for the VQGAN and, if it takes part, one for the discriminator."""
        networks = [self.net] + ([self.discriminator] if self.discriminator is not None else [])
        made = [self.optimizer_for(network.parameters()) for network in networks]
        return [optimizer for optimizer, _ in made], [scheduler for _, scheduler in made]

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """One step of the VQGAN and then one of the discriminator, on images (B, 3, H, W) in [0, 1]."""
        images = batch[0]
        optimizers = _as_list(self.optimizers())
        reconstructions, losses = self._generator_losses(images)
        total = torch.stack([getattr(self.weights, name) * loss for name, loss in losses.items()]).sum()
        self._step(optimizers[0], total)
        if self.discriminator is not None:
            losses |= self._discriminator_step(optimizers[1], images, reconstructions.detach())
        for scheduler in _as_list(self.lr_schedulers()):
            scheduler.step()
        self.log_dict({f"tokenizer/{name}": loss.detach() for name, loss in losses.items()})
        return {"loss": total.detach()}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Reconstruction error of held-out images, pixels clipped to [0, 1]."""
        codes = self.best_net.encode(batch[0])  # type: ignore[operator]
        error = F.mse_loss(self.best_net.decode(codes).clamp(0, 1), batch[0])  # type: ignore[operator]
        self.log("tokenizer/val_mse", error, on_epoch=True, batch_size=len(batch[0]))
        self.val_codes.append(codes)

    def on_validation_epoch_end(self) -> None:
        """Use of the codebook over all held-out images."""
        usage, perplexity = codebook_usage(torch.cat(self.val_codes), self.net.codebook_size)
        self.log_dict({"tokenizer/val_codebook_usage": usage, "tokenizer/val_perplexity": perplexity})
        self.val_codes.clear()

    def _generator_losses(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        reconstructions, latents, quantized = self.net(images)
        losses = {
            "pixel": F.mse_loss(reconstructions, images),
            "codebook": codebook_loss(latents, quantized.codebook_latents),
            "commitment": commitment_loss(latents, quantized.codebook_latents),
        }
        if self.weights.entropy > 0:
            losses["entropy"] = entropy_loss(quantized.distances, self.weights.entropy_temperature)
        if self.perceptual is not None:
            losses["perceptual"] = self.perceptual(reconstructions, images)
        if self.discriminator is not None:
            losses["adversarial"] = generator_loss(self.discriminator(reconstructions))
        return reconstructions, losses

    def _discriminator_step(
        self, optimizer: LightningOptimizer, images: Tensor, reconstructions: Tensor
    ) -> dict[str, Tensor]:
        assert self.discriminator is not None
        images = images.detach().requires_grad_()
        real_B, fake_B = self.discriminator(images), self.discriminator(reconstructions)
        losses = {"discriminator": discriminator_loss(real_B, fake_B), "r1": r1_penalty(real_B, images)}
        self._step(optimizer, losses["discriminator"] + self.weights.r1 * losses["r1"])
        return losses

    def _step(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.optim.gradient_clip > 0:
            self.clip_gradients(optimizer.optimizer, self.optim.gradient_clip, "norm")
        optimizer.step()


def _as_list(one_or_more: Any) -> list[Any]:
    """Lightning gives one optimiser or scheduler as it is, and several as a list."""
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
