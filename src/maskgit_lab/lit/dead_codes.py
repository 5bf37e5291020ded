"""Codes that no image uses: counted over a window of steps, and optionally revived (Williams et al. 2020).

Shapes: B images, h x w tokens an image, K codes, M = B h w latents of width D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from lightning.pytorch import LightningModule
from torch import Tensor

from maskgit_lab.lit.parts import Part
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import DeadCodes

if TYPE_CHECKING:
    from maskgit_lab.lit.tokenizer import LitTokenizer


class CodeUse:
    """How often each code was used since the window began.

    Each process keeps its own counts; buffers of a module would be overwritten by the main process's at every step.
    """

    def __init__(self, codebook_size: int, settings: DeadCodes) -> None:
        self.settings = settings
        self.counts_K = torch.zeros(codebook_size)
        self.latents: list[tuple[Part, Tensor]] = []  # (B, D, h, w), of this process's parts of the last step

    def count(self, codes: Int64[Tensor, "B h w"]) -> None:
        """Adds the codes of a batch."""
        self.counts_K = self.counts_K.to(codes.device) + torch.bincount(codes.flatten(), minlength=len(self.counts_K))

    def see(self, part: Part, codes: Int64[Tensor, "B h w"], latents: Float[Tensor, "B D h w"]) -> None:
        """Adds the codes of a part of a step, and keeps its latents; a part that only repeats an image has none."""
        if part.rows:
            self.count(codes)
        self.latents.append((part, latents))

    def total(self, module: LightningModule) -> Float[Tensor, " K"]:
        """The counts of all processes, each of which keeps its own; all of them call this."""
        own_K = self.counts_K.to(module.device, copy=True)  # which the sum replaces
        counts_K = module.trainer.strategy.reduce(own_K, reduce_op="sum")
        assert isinstance(counts_K, Tensor)
        return counts_K

    def take(self, module: LightningModule) -> Float[Tensor, " K"]:
        """The counts of all processes; starts a new window."""
        counts_K = self.total(module)
        self.counts_K = torch.zeros_like(counts_K)
        return counts_K

    def settle(self, module: LitTokenizer) -> Float[Tensor, ""]:
        """The number of dead codes in the window, which are revived if the settings say so; starts a new window."""
        dead_K = self.take(module) == 0
        if self.settings.revive and bool(dead_K.any()):
            generator = torch.Generator().manual_seed(mix_seeds(module.seed, module.step))
            _replace(module, dead_K, self._draw(module, int(dead_K.sum()), generator))
        return dead_K.sum().float()

    def _draw(self, module: LitTokenizer, count: int, generator: torch.Generator) -> Float[Tensor, "n D"]:
        """So many latents of the last step's images, which all processes draw; each knows those of its own."""
        (part, first), *_ = self.latents
        area = first.shape[2] * first.shape[3]
        chosen = torch.randint(part.size * area, (count,), generator=generator)
        found = torch.zeros(count, first.shape[1])
        for part, latents in self.latents:
            latents_MD = latents.float().permute(0, 2, 3, 1).flatten(0, 2).cpu()
            place = chosen - part.rows.start * area
            is_own = (place >= 0) & (place < len(part.rows) * area)
            found[is_own] = latents_MD[place[is_own]]
        summed = module.trainer.strategy.reduce(found.to(module.device), reduce_op="sum")
        assert isinstance(summed, Tensor)
        return summed


@torch.no_grad()
def _replace(module: LitTokenizer, dead_K: Tensor, rows: Tensor) -> None:
    """Gives dead codes new vectors in the network and its average, and resets their optimiser state."""
    codebook = module.net.quantizer.codebook
    codebook[dead_K] = rows
    if module.ema is not None:
        assert isinstance(module.best_net, VQGAN)
        module.best_net.quantizer.codebook[dead_K] = rows
    for state in (optimizer.state.get(codebook, {}) for optimizer in module.trainer.optimizers):
        for value in state.values():  # moments and the like, whatever the optimizer calls them
            if isinstance(value, Tensor) and value.shape == codebook.shape:
                value[dead_K] = 0
