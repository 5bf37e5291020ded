"""The likelihood of codes in nats per token, comparable across models (Hoogeboom et al. 2022; Austin et al. 2021).

Shapes: B images, N tokens per image, D masks per image, K codes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from maskgit_lab.masking.corruption import choose_positions, corrupt
from maskgit_lab.objectives.mvtm import masked_cross_entropy_by_image


@torch.no_grad()
def order_agnostic_nll(
    predict: Callable[[Tensor, Tensor], Tensor],
    tokens_BN: Int64[Tensor, "B N"],
    labels_B: Int64[Tensor, " B"],
    mask_id: int,
    draws: int,
    generator: torch.Generator,
) -> Float[Tensor, " B"]:
    """An unbiased estimate of a bound on each image's negative log-likelihood, divided by N.

    A masked model that fills one token at a time in a random order s has the log-likelihood log E_s p(x | s), which is
    at least E_s sum_t log p(x_s(t) | x_s(<t)) by Jensen's inequality. At step t, m = N - t + 1 tokens are masked: the
    next one may be any of them, and each step counts once. So the bound in nats per token is the cross-entropy
    averaged over the masked tokens, with m uniform on 1..N and the positions uniform (Hoogeboom et al. 2022,
    Autoregressive Diffusion Models, equations 3 to 5). If all conditionals belong to one joint distribution, every
    order gives the same likelihood and the bound is exact.

    Args:
        predict: maps tokens (B, N) and labels (B,) to logits (B, N, K).
        tokens_BN: held-out codes.
        labels_B: their classes.
        mask_id: the mask token.
        draws: masks for each image.
        generator: of the masks, on the CPU, so that they are the same on every device.

    Returns:
        Nats per token for each image, in double precision.
    """
    n_images, n_tokens = tokens_BN.shape
    total_B = torch.zeros(n_images, dtype=torch.float64, device=tokens_BN.device)
    for count_B in uniform_counts(n_images, n_tokens, draws, generator).T:
        mask_BN = choose_positions(count_B, n_tokens, generator).to(tokens_BN.device)
        logits_BNK = predict(corrupt(tokens_BN, mask_BN, mask_id), labels_B)
        total_B += masked_cross_entropy_by_image(logits_BNK, tokens_BN, mask_BN).double()
    return total_B / draws


def uniform_counts(
    n_images: int, n_tokens: int, draws: int, generator: torch.Generator | None = None
) -> Int64[Tensor, "B D"]:
    """How many tokens each mask hides: uniform on 1..N, and spread evenly over the masks of an image.

    Systematic sampling: one uniform offset for each image, then equal steps. Each mask of an image covers
    about 1/D of the range, together they have exactly the uniform distribution, and their mean varies less
    than that of independent draws.
    """
    offset_B = torch.rand(n_images, dtype=torch.float64, generator=generator)
    share_BD = (offset_B[:, None] + torch.arange(draws)) / draws
    return (share_BD * n_tokens).long().clamp(max=n_tokens - 1) + 1
