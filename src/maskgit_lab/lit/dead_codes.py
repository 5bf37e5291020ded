"""Codes that no image uses: counted over a window of steps, and revived if asked to (Williams et al. 2020).

Shapes: B images, h x w tokens an image, K codes, M = B h w latents of width D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import DeadCodes

if TYPE_CHECKING:
    from maskgit_lab.lit.tokenizer import LitTokenizer


class CodeUse(nn.Module):
    """How often each code was used since the window began."""

    counts_K: Tensor

    def __init__(self, codebook_size: int, settings: DeadCodes) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("counts_K", torch.zeros(codebook_size))
        self.latents_MD: Tensor | None = None  # of the last batch

    def count(self, codes: Int64[Tensor, "B h w"], latents: Float[Tensor, "B D h w"]) -> None:
        """Adds the codes of a batch."""
        self.counts_K += torch.bincount(codes.flatten(), minlength=len(self.counts_K))
        if self.settings.revive:
            self.latents_MD = latents.detach().float().permute(0, 2, 3, 1).flatten(0, 2)

    def settle(self, module: LitTokenizer) -> Float[Tensor, ""]:
        """Ends the window: the number of dead codes in it, over all processes; revives them if asked to."""
        counts_K = module.trainer.strategy.reduce(self.counts_K, reduce_op="sum")
        dead_K = counts_K == 0
        if self.settings.revive and bool(dead_K.any()):
            assert self.latents_MD is not None
            seed = mix_seeds(module.seed, module.trainer.fit_loop.total_batch_idx)
            chosen = torch.randint(
                len(self.latents_MD), (int(dead_K.sum()),), generator=torch.Generator().manual_seed(seed)
            )
            rows = module.trainer.strategy.broadcast(self.latents_MD[chosen.to(self.latents_MD.device)])
            _replace(module, dead_K, rows.to(counts_K.device))
        self.counts_K.zero_()
        return dead_K.sum().float()


@torch.no_grad()
def _replace(module: LitTokenizer, dead_K: Tensor, rows: Tensor) -> None:
    """Gives dead codes new vectors in the network and its average, and forgets what the optimiser knew of them."""
    codebook = module.net.quantizer.codebook
    codebook[dead_K] = rows
    if module.ema is not None:
        assert isinstance(module.best_net, VQGAN)
        module.best_net.quantizer.codebook[dead_K] = rows
    for state in (optimizer.state.get(codebook, {}) for optimizer in module.trainer.optimizers):
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                state[name][dead_K] = 0
