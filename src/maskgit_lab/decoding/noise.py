"""The noise that decoders sample with: of all images together, or of each image from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Randomness = torch.Generator | Sequence[torch.Generator] | None  # for all images, or one for each


def exponential(like: Float[Tensor, "*shape"], generator: Randomness) -> Float[Tensor, "*shape"]:
    """Exponential noise above 0: with p a distribution, the largest p / noise is a sample from it, which is the Gumbel
    trick without its logarithms.
    """
    drawn = torch.empty_like(like, memory_format=torch.contiguous_format)
    if isinstance(generator, Sequence):
        for image, own in zip(drawn, generator, strict=True):
            image.exponential_(generator=own)
    else:
        drawn.exponential_(generator=generator)
    return drawn.clamp(min=torch.finfo(like.dtype).tiny)
