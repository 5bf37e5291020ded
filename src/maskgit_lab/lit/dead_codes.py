"""Codes that no image uses: counted over a window of steps, and optionally revived (Williams et al. 2020).

Shapes: B images, h x w tokens an image, K codes, M = B h w latents of width D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from lightning.pytorch import LightningModule
from torch import Tensor

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
        self.latents: Tensor | None = None  # (B, D, h, w), of the last batch

    def count(self, codes: Int64[Tensor, "B h w"]) -> None:
        """Adds the codes of a batch."""
        self.counts_K = self.counts_K.to(codes.device) + torch.bincount(codes.flatten(), minlength=len(self.counts_K))

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
            assert self.latents is not None
            latents_MD = self.latents.float().permute(0, 2, 3, 1).flatten(0, 2).cpu()
            seed = mix_seeds(module.seed, module.trainer.fit_loop.total_batch_idx)
            generator = torch.Generator().manual_seed(seed)
            chosen = torch.randint(len(latents_MD), (int(dead_K.sum()),), generator=generator)
            _replace(module, dead_K, module.trainer.strategy.broadcast(latents_MD[chosen]).to(dead_K.device))
        return dead_K.sum().float()


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
