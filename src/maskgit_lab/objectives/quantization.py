"""Losses that keep latents and codebook together (VQGAN, section 3.1; the entropy loss of MaskGIT's release).

Shapes: B images, D latent width, h x w the latent grid, M = B h w latents, K codes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def codebook_loss(latents: Float[Tensor, "B D h w"], codebook_latents: Float[Tensor, "B D h w"]) -> Float[Tensor, ""]:
    """Moves the codebook's entries towards the latents that chose them."""
    return F.mse_loss(codebook_latents, latents.detach())


def commitment_loss(latents: Float[Tensor, "B D h w"], codebook_latents: Float[Tensor, "B D h w"]) -> Float[Tensor, ""]:
    """Moves the latents towards the codebook entries that they chose."""
    return F.mse_loss(latents, codebook_latents.detach())


def entropy_loss(
    distances: Float[Tensor, "M K"], temperature: float, whole_mean: Callable[[Tensor], Tensor] | None = None
) -> Float[Tensor, ""]:
    """Mean entropy of each latent's soft assignment minus the entropy of the mean assignment, in nats.

    Low when every latent is certain of its code and all codes are used equally; at least -log(K).

    Args:
        distances: of each latent to each code.
        temperature: of the assignment.
        whole_mean: maps the mean assignment (K,) of these latents to that of a batch that they are a part of. The
            gradient is then this part's, so that the mean over parts has the gradient of the whole batch's loss.
    """
    log_p = F.log_softmax(-distances / temperature, dim=-1)
    sample_entropy = -(log_p.exp() * log_p).sum(dim=-1).mean()
    mean_p = log_p.exp().mean(dim=0)
    if whole_mean is not None:
        mean_p = mean_p + (whole_mean(mean_p.detach()) - mean_p).detach()
    codebook_entropy = -(mean_p * (mean_p + 1e-5).log()).sum()  # 1e-5 as in the released code
    return sample_entropy - codebook_entropy


def mean_assignment(distances: Float[Tensor, "M K"], temperature: float) -> Float[Tensor, " K"]:
    """The mean soft assignment of the latents, whose entropy is part of the entropy loss."""
    return F.softmax(-distances / temperature, dim=-1).mean(dim=0)


def codebook_perplexity(counts_K: Float[Tensor, " K"]) -> Float[Tensor, ""]:
    """The perplexity of code usage, in [1, K]: this many codes, used equally, would be as hard to predict.

    Args:
        counts_K: how often each code was used.
    """
    p_K = counts_K / counts_K.sum()
    return (-torch.special.xlogy(p_K, p_K).sum()).exp()
