"""Corrupts token grids for training: a mask ratio, then positions, then the mask token (MaskGIT, section 3.1).

Shapes: B images, N tokens per image.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from maskgit_lab.masking.schedules import Schedule


def draw_mask(
    tokens_BN: Int64[Tensor, "B N"],
    schedule: Schedule,
    generator: torch.Generator | None = None,
    min_ratio: float = 0.0,
) -> Bool[Tensor, "B N"]:
    """Draws which tokens to mask: r uniform in [0, 1) for each image, then ceil(gamma(r) N) positions uniformly.

    Args:
        tokens_BN: only their shape and device are used.
        schedule: the mask schedule gamma.
        generator: randomness, on the device of the tokens.
        min_ratio: a lower bound on gamma(r) (`min_masking_rate` in the released config; none in the paper).

    Returns:
        True at the tokens to mask: at least one and at most N in each image.
    """
    n_images, n_tokens = tokens_BN.shape
    ratio_B = torch.rand(n_images, device=tokens_BN.device, generator=generator)
    count_B = torch.ceil(schedule(ratio_B, n_tokens).clamp(min=min_ratio) * n_tokens).clamp(1, n_tokens)
    return choose_positions(count_B, n_tokens, generator)


def choose_positions(
    count_B: Float[Tensor, " B"] | Int64[Tensor, " B"], n_tokens: int, generator: torch.Generator | None = None
) -> Bool[Tensor, "B N"]:
    """True at a given number of positions in each image, chosen uniformly.

    Args:
        count_B: how many positions, whole numbers from 0 to N.
        n_tokens: N.
        generator: randomness, on the device of the counts.
    """
    order_BN = torch.rand((len(count_B), n_tokens), device=count_B.device, generator=generator).argsort(dim=-1)
    return order_BN.argsort(dim=-1) < count_B[:, None]


def corrupt(tokens_BN: Int64[Tensor, "B N"], mask_BN: Bool[Tensor, "B N"], mask_id: int) -> Int64[Tensor, "B N"]:
    """The tokens with `mask_id` wherever `mask_BN` is True."""
    return tokens_BN.masked_fill(mask_BN, mask_id)


def draw_dropped(n_images: int, rate: float, generator: torch.Generator) -> Bool[Tensor, " B"]:
    """Which images lose their label, each with probability `rate` (Ho and Salimans 2022); not in the paper."""
    return torch.rand(n_images, device=generator.device, generator=generator) < rate
