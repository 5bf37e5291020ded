"""Training of the tokenizer (MaskGIT, section 3, first stage; VQGAN) as a LightningModule.

Shapes: B images, H x W pixels, K codes, M = B h w latents of width D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from maskgit_lab.lit.base import MEAN, Batch, TrainedModule, ValidationMean
from maskgit_lab.lit.dead_codes import CodeUse
from maskgit_lab.lit.monitoring.measures import code_measures, gradient_norm, gradient_ratios
from maskgit_lab.lit.parts import Part
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.objectives.adversarial import discriminator_loss, generator_loss, r1_penalty
from maskgit_lab.objectives.quantization import (
    codebook_loss,
    codebook_perplexity,
    commitment_loss,
    entropy_loss,
    mean_assignment,
)
from maskgit_lab.settings import DeadCodes, Optim, TokenizerLosses

CODE_USE = "code_use"


class LitTokenizer(TrainedModule):
    """Trains a VQGAN; the discriminator and the perceptual loss are optional.

    Args:
        net: the VQGAN.
        weights: of the losses.
        optim: of the VQGAN and, with the same settings, of the discriminator.
        seed: of the steps.
        discriminator: maps images to one logit each.
        perceptual: maps (reconstructions, images) to a distance; fixed, and in no checkpoint.
        dead_codes: how unused codes are counted and revived.
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
        dead_codes: DeadCodes | None = None,
    ) -> None:
        super().__init__(net, optim, seed)
        self.weights = weights
        self.discriminator = discriminator
        self._perceptual = [perceptual]  # in a list, so that its weights are not saved with each checkpoint
        self.code_use = CodeUse(net.codebook_size, dead_codes or DeadCodes())
        self.automatic_optimization = False  # two optimisers take turns
        self.val_mse = ValidationMean()
        self.val_use = CodeUse(net.codebook_size, DeadCodes())
        self._waiting: list[tuple[Part, Tensor]] = []  # images of a step whose last batch is to come

    @property
    def n_optimizers(self) -> int:
        """One for the VQGAN and one for the discriminator, if there is one."""
        return 1 if self.discriminator is None else 2

    def configure_optimizers(self) -> Any:
        """One optimiser for the VQGAN and one for the discriminator, if there is one."""
        networks = [self.net] + ([self.discriminator] if self.discriminator is not None else [])
        made = [self.optimizer_for(network) for network in networks]
        return [optimizer for optimizer, _ in made], [scheduler for _, scheduler in made]

    def on_fit_start(self) -> None:
        """Moves the perceptual loss, which Lightning does not see, to the device."""
        self._perceptual = [loss and loss.to(self.device) for loss in self._perceptual]

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor] | None:
        """One step of the VQGAN and then one of the discriminator, on images (B, 3, H, W) in [0, 1].

        Batches that are accumulated wait for the last one of their step, for the entropy loss is of all of them.
        """
        self._waiting.append((self.part, batch[0]))
        if not self.ends_step(batch_idx):
            return None
        batches, self._waiting = self._waiting, []
        optimizers = _as_list(self.optimizers())
        reconstructions, losses = self._generator_gradients(batches)
        self._descend(optimizers[0], "gradient_norm")
        if self.discriminator is not None:
            losses |= self._discriminator_gradients(self.discriminator, batches, reconstructions)
            self._descend(optimizers[1], "discriminator_gradient_norm")
        for scheduler in _as_list(self.lr_schedulers()):
            scheduler.step()
        self.update_average()
        loss = losses.pop("loss")
        self.log("tokenizer/loss", loss)
        self._log_details(losses)
        self._settle_dead_codes()
        return {"loss": loss, MEAN: loss}

    def _settle_dead_codes(self) -> None:
        """Counts dead codes at the end of each window, after the average was updated."""
        if (self.step + 1) % self.code_use.settings.window == 0:
            self.log("tokenizer/dead_codes", self.code_use.settle(self))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Saves the counts of the unfinished window, of all processes; every one of them calls this."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[CODE_USE] = self.code_use.total(self)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the counts of the unfinished window, in the main process: those of all will be summed again."""
        super().on_load_checkpoint(checkpoint)
        counts_K = checkpoint[CODE_USE]
        self.code_use.counts_K = counts_K if self.trainer.is_global_zero else torch.zeros_like(counts_K)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Reconstruction error of held-out images, pixels clipped to [0, 1]."""
        images, net = batch[0], self.best_net
        assert isinstance(net, VQGAN)
        codes = net.encode(images)
        reconstructions = net.decode(codes).float().clamp(0, 1)
        error = F.mse_loss(reconstructions, images)
        self.val_mse.update(error, len(images))
        self.log("tokenizer/val_mse", self.val_mse, on_epoch=True)
        self.val_use.count(codes)

    def on_validation_epoch_end(self) -> None:
        """Codebook usage over all held-out images."""
        counts_K = self.val_use.take(self)
        scores = {
            "tokenizer/val_codebook_usage": (counts_K > 0).float().mean(),
            "tokenizer/val_perplexity": codebook_perplexity(counts_K),
        }
        self.log_dict(scores, sync_dist=True)

    def _generator_gradients(self, batches: Sequence[tuple[Part, Tensor]]) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Adds the VQGAN's gradients of each batch of a step; the reconstructions, and the means of the losses."""
        whole_K = self._assignment(batches)
        self.code_use.latents.clear()
        reconstructions, means = [], _Means(batches)
        for part, images in batches:
            made, losses = self._generator_losses(part, images, whole_K)
            weighted = {name: getattr(self.weights, name) * loss for name, loss in losses.items()}
            total = torch.stack(list(weighted.values())).sum()
            self._log_ratios(weighted)
            self._backward(total, part)
            reconstructions.append(made.detach())
            means.add({"loss": total, **losses, **{f"weighted_{name}": loss for name, loss in weighted.items()}})
        return reconstructions, means.values

    def _generator_losses(self, part: Part, images: Tensor, whole_K: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        reconstructions, latents, quantized = self.net(images)
        self.code_use.see(part, quantized.codes, latents.detach())
        if self.watched:
            self._log_details(code_measures(quantized.codes, self.net.codebook_size))
        losses = {
            "pixel": F.mse_loss(reconstructions, images),
            "codebook": codebook_loss(latents, quantized.codebook_latents),
            "commitment": commitment_loss(latents, quantized.codebook_latents),
        }
        if self.weights.entropy > 0:

            def whole_mean(mean_K: Tensor) -> Tensor:
                return self._sum(part.share * mean_K) if whole_K is None else whole_K

            temperature = self.weights.entropy_temperature
            losses["entropy"] = entropy_loss(quantized.distances, temperature, whole_mean if part.n_parts > 1 else None)
        if (perceptual := self._perceptual[0]) is not None:
            losses["perceptual"] = perceptual(reconstructions, images)
        if self.discriminator is not None:
            self.discriminator.requires_grad_(False)  # this loss must not add to its gradients
            losses["adversarial"] = generator_loss(self.discriminator(reconstructions))
            self.discriminator.requires_grad_(True)
        return reconstructions, losses

    @torch.no_grad()
    def _assignment(self, batches: Sequence[tuple[Part, Tensor]]) -> Tensor | None:
        """The mean assignment to codes over all images of a step, where its batches do not fit into one.

        An encoding of its own, the price of gradients that are those of the whole batch (GradCache, Gao et al. 2021).
        """
        if self.weights.entropy == 0 or len(batches) == 1:
            return None
        temperature, quantizer = self.weights.entropy_temperature, self.net.quantizer
        means = [
            part.share * mean_assignment(quantizer.distances(self.net.encoder(images)), temperature)
            for part, images in batches
        ]
        return self._sum(torch.stack(means).sum(dim=0))

    def _sum(self, own: Tensor) -> Tensor:
        """Over all processes."""
        total = self.trainer.strategy.reduce(own.clone(), reduce_op="sum")
        assert isinstance(total, Tensor)
        return total

    def _discriminator_gradients(
        self, critic: nn.Module, batches: Sequence[tuple[Part, Tensor]], reconstructions: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Adds the discriminator's gradients of each batch of a step; the means of its losses."""
        means = _Means(batches)
        for (part, images), fake in zip(batches, reconstructions, strict=True):
            images = images.detach().requires_grad_()
            real_B, fake_B = critic(images), critic(fake)
            losses = {"discriminator": discriminator_loss(real_B, fake_B), "r1": r1_penalty(real_B, images)}
            self._backward(losses["discriminator"] + self.weights.r1 * losses["r1"], part)
            means.add(losses | {"logits_real": real_B.mean(), "logits_fake": fake_B.mean()})
        return means.values

    def _backward(self, loss: Tensor, part: Part) -> None:
        """Adds the gradients of one batch to those of its step."""
        self.manual_backward(loss * part.factor / self.accumulate)

    def _descend(self, optimizer: LightningOptimizer, norm: str) -> None:
        """Takes a step, and logs the norm of its gradients."""
        if self.watched:
            parameters = [p for group in optimizer.optimizer.param_groups for p in group["params"]]
            self._log_details({norm: gradient_norm(parameters)})
        if self.optim.gradient_clip > 0:
            self.clip_gradients(optimizer.optimizer, self.optim.gradient_clip, "norm")
        optimizer.step()
        optimizer.zero_grad()

    def _log_ratios(self, weighted: Mapping[str, Tensor]) -> None:
        """Logs how hard each loss pulls at the decoder's last layer, if this batch is watched."""
        if self.watched and self.weights.pixel > 0:
            scaler = getattr(self.trainer.precision_plugin, "scaler", None)  # of 16-mixed
            scale = 1.0 if scaler is None else scaler.get_scale()
            ratios = gradient_ratios(weighted, "pixel", self.net.last_layer, scale)
            self._log_details({f"losses/grad_ratio_{name}": ratio for name, ratio in ratios.items()})

    def _log_details(self, values: Mapping[str, Tensor]) -> None:
        """Logs numbers of this batch, if it is watched."""
        if self.watched:
            self.log_dict({f"tokenizer/{name}": value.detach() for name, value in values.items()})


class _Means:
    """Means of losses over the batches of a step, by their images."""

    def __init__(self, batches: Sequence[tuple[Part, Tensor]]) -> None:
        n_images = [len(images) for _, images in batches]
        self.shares = [n / sum(n_images) for n in n_images]
        self.values: dict[str, Tensor] = {}

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Those of the next batch."""
        share = self.shares.pop(0)
        self.values |= {name: self.values.get(name, 0) + share * loss.detach() for name, loss in losses.items()}


def _as_list(one_or_more: Any) -> list[Any]:
    """Lightning returns one optimiser or scheduler bare, and several as a list."""
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
