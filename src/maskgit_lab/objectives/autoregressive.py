"""The loss of an autoregressive transformer, and the exact likelihood of codes (Esser et al. 2021, section 3.2).

Shapes: B images, N tokens per image, K codes.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


def next_token_cross_entropy(
    logits_BNK: Float[Tensor, "B N K"], tokens_BN: Int64[Tensor, "B N"], label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """The cross-entropy in nats per token, averaged over all tokens.

    Args:
        logits_BNK: of each token, given those before it in the order of the model.
        tokens_BN: the codes.
        label_smoothing: 0.1 as in the paper's MVTM loss; 0 gives the negative log-likelihood.
    """
    return next_token_cross_entropy_by_image(logits_BNK, tokens_BN, label_smoothing).mean()


def next_token_cross_entropy_by_image(
    logits_BNK: Float[Tensor, "B N K"], tokens_BN: Int64[Tensor, "B N"], label_smoothing: float = 0.0
) -> Float[Tensor, " B"]:
    """The same, but averaged only within each image: without smoothing exactly -log p(x | class) / N."""
    loss_BN = F.cross_entropy(
        logits_BNK.float().transpose(1, 2), tokens_BN, reduction="none", label_smoothing=label_smoothing
    )
    mean_B: Tensor = loss_BN.mean(dim=1)
    return mean_B
