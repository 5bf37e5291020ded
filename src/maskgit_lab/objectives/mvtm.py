"""The loss of masked visual token modelling and the NLL that Table 3 reports (MaskGIT, sections 3.1 and 4.4).

Shapes: B images, N tokens per image, K codes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from maskgit_lab.masking.corruption import corrupt, draw_mask
from maskgit_lab.masking.schedules import Schedule


def masked_cross_entropy(
    logits_BNK: Float[Tensor, "B N K"],
    targets_BN: Int64[Tensor, "B N"],
    mask_BN: Bool[Tensor, "B N"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy in nats per token over masked positions only: averaged within each image, then over the batch.

    With `label_smoothing=0.1` this is the paper's training loss, with 0 its NLL. A mask that is True everywhere gives
    the loss over all positions.
    """
    return masked_cross_entropy_by_image(logits_BNK, targets_BN, mask_BN, label_smoothing).mean()


def masked_cross_entropy_by_image(
    logits_BNK: Float[Tensor, "B N K"],
    targets_BN: Int64[Tensor, "B N"],
    mask_BN: Bool[Tensor, "B N"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, " B"]:
    """The same, but averaged only within each image."""
    loss_BN = F.cross_entropy(
        logits_BNK.float().transpose(1, 2), targets_BN, reduction="none", label_smoothing=label_smoothing
    )
    per_image_B: Tensor = (loss_BN * mask_BN).sum(dim=1) / mask_BN.sum(dim=1).clamp(min=1)
    return per_image_B


@torch.no_grad()
def masked_nll(
    predict: Callable[[Tensor, Tensor], Tensor],
    tokens_BN: Int64[Tensor, "B N"],
    labels_B: Int64[Tensor, " B"],
    schedule: Schedule,
    mask_id: int,
    draws: int,
    generator: torch.Generator,
) -> float:
    """The NLL of Table 3 for a batch: masked cross-entropy in nats per token, without label smoothing.

    Args:
        predict: maps tokens (B, N) and labels (B,) to logits (B, N, K).
        tokens_BN: held-out codes.
        labels_B: their classes.
        schedule: of the mask ratios.
        mask_id: the mask token.
        draws: masks per image to average over.
        generator: of the masks, on the device of the tokens.
    """
    total = 0.0
    for _ in range(draws):
        mask_BN = draw_mask(tokens_BN, schedule, generator)
        logits_BNK = predict(corrupt(tokens_BN, mask_BN, mask_id), labels_B)
        total += float(masked_cross_entropy(logits_BNK, tokens_BN, mask_BN))
    return total / draws
