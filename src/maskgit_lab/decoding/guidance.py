"""Logits for class-conditional decoding, without repeating what images of a class share.

Shapes: B images, N tokens an image, K codes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Int64
from torch import Tensor

ClassModel = Callable[[Tensor, Tensor], Tensor]
LogitsFn = Callable[[Tensor], Tensor]


def class_logits(model: ClassModel, labels_B: Int64[Tensor, " B"], mask_id: int) -> LogitsFn:
    """The `logits_fn` of `decode` for images of these classes.

    Where every token of every image is still masked, all images of a class are the same input: the model then runs
    once for each class, which saves the first of T steps.

    Args:
        model: maps tokens (B, N) and labels (B,) to logits (B, N, K).
        labels_B: the class of each image.
        mask_id: the mask token.
    """

    def logits_fn(tokens_BN: Tensor) -> Tensor:
        if not bool((tokens_BN == mask_id).all()):
            return model(tokens_BN, labels_B)
        classes_C, index_B = labels_B.unique(return_inverse=True)
        return model(tokens_BN[: len(classes_C)], classes_C)[index_B]

    return logits_fn


def guided(model: ClassModel, null_label: int, scale: float) -> ClassModel:
    """Classifier-free guidance (Ho and Salimans 2022; not in the paper): (1 + scale) l(class) - scale l(no class).

    Args:
        model: maps tokens (B, N) and labels (B,) to logits (B, N, K); trained with label dropout.
        null_label: the label of no class.
        scale: 0 leaves the logits as they are.
    """
    if scale == 0:
        return model

    def logits(tokens_BN: Tensor, labels_B: Tensor) -> Tensor:
        both = torch.cat([labels_B, torch.full_like(labels_B, null_label)])
        with_class, without = model(tokens_BN.repeat(2, 1), both).chunk(2)
        return with_class + scale * (with_class - without)

    return logits
