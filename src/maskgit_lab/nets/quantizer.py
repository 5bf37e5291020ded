"""The vector quantiser: the nearest codebook entry by Euclidean distance (VQGAN, section 3.1).

Shapes: B images, D latent width, h x w the latent grid, M = B h w latents, K codes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn


class Quantized(NamedTuple):
    """The output of the quantiser."""

    latents: Float[Tensor, "B D h w"]  # with the straight-through gradient: what the decoder reads
    codebook_latents: Float[Tensor, "B D h w"]  # the same values, with the gradient of the codebook
    codes: Int64[Tensor, "B h w"]
    distances: Float[Tensor, "M K"]  # squared Euclidean distance of every latent to every entry


class VectorQuantizer(nn.Module):
    """A codebook of K vectors; entries are not normalised."""

    def __init__(self, codebook_size: int, latent_dim: int) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.empty(codebook_size, latent_dim))
        # Variance scaling over the first axis, as in the released code.
        nn.init.uniform_(self.codebook, -((3 / codebook_size) ** 0.5), (3 / codebook_size) ** 0.5)

    def forward(self, latents: Float[Tensor, "B D h w"]) -> Quantized:
        """Replaces every latent by its nearest entry."""
        distances = self.distances(latents)
        codes = distances.argmin(dim=-1).view(latents.shape[0], *latents.shape[2:])
        codebook_latents = self.lookup(codes)
        straight_through = latents + (codebook_latents - latents).detach()
        return Quantized(straight_through, codebook_latents, codes, distances)

    def distances(self, latents: Float[Tensor, "B D h w"]) -> Float[Tensor, "M K"]:
        """Squared Euclidean distances, latents in row order."""
        with _full_precision(latents.device.type):  # in 16 bits the nearest entry would be a different one
            z_MD = latents.float().permute(0, 2, 3, 1).flatten(0, 2)
            norms = z_MD.square().sum(1, keepdim=True) + self.codebook.square().sum(1)
            return norms - 2 * z_MD @ self.codebook.T

    def lookup(self, codes: Int64[Tensor, "B h w"]) -> Float[Tensor, "B D h w"]:
        """The codebook's entries for a grid of codes."""
        return F.embedding(codes, self.codebook).permute(0, 3, 1, 2)


def _full_precision(device_type: str) -> AbstractContextManager[object]:
    available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if available else nullcontext()
