"""Numbers that say how a training goes, computed only at the steps that are logged.

Shapes: B images, N tokens an image, K codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from maskgit_lab.objectives.mvtm import masked_cross_entropy_by_image
from maskgit_lab.objectives.quantization import codebook_perplexity

QUARTERS = ("0_25", "25_50", "50_75", "75_100")  # percent of the tokens that are masked


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Float[Tensor, ""]:
    """The 2-norm of all gradients together."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)


def gradient_ratios(
    losses: Mapping[str, Tensor], base: str, parameter: nn.Parameter, scale: float = 1.0
) -> dict[str, Tensor]:
    """How hard each loss pulls at a parameter, compared with one of them (VQGAN, section 3.2, looks at the same).

    The graph of the losses stays as it is, and no `.grad` changes.

    Args:
        losses: with their weights.
        base: the name of the one that the others are compared with.
        parameter: such as the weights of the decoder's last layer.
        scale: of the losses, so that gradients in 16 bits do not vanish; the ratios do not depend on it.

    Returns:
        The norm of each loss's gradient over that of `base`; losses that the parameter has no part in have none.
    """
    norms = {}
    for name, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss * scale, parameter, retain_graph=True, allow_unused=True)
        if gradient is not None:
            norms[name] = gradient.float().norm()
    return {name: norm / norms[base] for name, norm in norms.items() if name != base and base in norms}


@torch.no_grad()
def masked_measures(
    logits_BNK: Float[Tensor, "B N K"],
    targets_BN: Int64[Tensor, "B N"],
    mask_BN: Bool[Tensor, "B N"],
    label_smoothing: float,
) -> dict[str, Tensor]:
    """How well masked tokens are predicted, over all of them and by how many are masked.

    Args:
        logits_BNK: of the transformer.
        targets_BN: the codes.
        mask_BN: True where they are masked.
        label_smoothing: of the loss.

    Returns:
        `masked_accuracy`, a fraction in [0, 1]; and `loss_masked_0_25` to `loss_masked_75_100`, the loss over masked
        tokens (nats per token) of the images with this percentage of their tokens masked; NaN where the batch has none.
    """
    correct_BN = (logits_BNK.argmax(-1) == targets_BN) & mask_BN
    measures = {"masked_accuracy": correct_BN.sum() / mask_BN.sum().clamp(min=1)}
    loss_B = masked_cross_entropy_by_image(logits_BNK, targets_BN, mask_BN, label_smoothing)
    quarter_B = (mask_BN.float().mean(dim=1) * 4).ceil().long().clamp(1, 4) - 1
    for quarter, name in enumerate(QUARTERS):
        measures[f"loss_masked_{name}"] = loss_B[quarter_B == quarter].mean()
    return measures


@torch.no_grad()
def code_measures(codes: Int64[Tensor, "B h w"], codebook_size: int) -> dict[str, Tensor]:
    """How much of the codebook a batch uses.

    Returns:
        `codebook_usage`, the share of the codes that the batch uses, in [0, 1]; and their `perplexity`, from 1 to K.
    """
    counts_K = torch.bincount(codes.flatten(), minlength=codebook_size).float()
    return {"codebook_usage": (counts_K > 0).float().mean(), "perplexity": codebook_perplexity(counts_K)}
