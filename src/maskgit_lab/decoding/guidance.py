"""Logits for class-conditional decoding, without repeating what images of a class have in common.

Shapes: B images, N tokens per image, K codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from maskgit_lab.decoding.base import CausalModel
from maskgit_lab.errors import UserError

ClassModel = Callable[[Tensor, Tensor], Tensor]
LogitsFn = Callable[[Tensor], Tensor]


def class_logits(model: ClassModel, labels_B: Int64[Tensor, " B"], mask_id: int) -> LogitsFn:
    """The `logits_fn` of `decode` for images of these classes.

    While all tokens of all images are masked, images of the same class are the same input: the model then runs
    once per class, which saves the first of T steps.

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
        null_label: the label for "no class".
        scale: 0 leaves the logits as they are.
    """
    if scale == 0:
        return model

    def logits(tokens_BN: Tensor, labels_B: Tensor) -> Tensor:
        both = torch.cat([labels_B, torch.full_like(labels_B, null_label)])
        with_class, without = model(tokens_BN.repeat(2, 1), both).chunk(2)
        return with_class + scale * (with_class - without)

    return logits


def guided_causal(model: CausalModel, scale: float) -> CausalModel:
    """The same for a model that predicts one token after another.

    Args:
        model: trained with label dropout.
        scale: 0 leaves the logits as they are.
    """
    return model if scale == 0 else _GuidedCausal(model, scale)


def check_guidance(guidance: float, label_dropout: float) -> None:
    """Raises a `UserError` for guidance of a model that was never trained without a class."""
    if guidance > 0 and label_dropout == 0:
        raise UserError(
            f"decode.guidance={guidance} needs a model that was trained with mvtm.label_dropout above 0: set it to 0"
        )


class _TwoCaches:
    """A cache with the class, and one without."""

    def __init__(self, with_class: Any, without: Any) -> None:
        self.with_class, self.without = with_class, without

    def take(self, other: _TwoCaches, index_B: Tensor) -> None:
        self.with_class.take(other.with_class, index_B)
        self.without.take(other.without, index_B)


class _GuidedCausal:
    """Classifier-free guidance of the logits of the next token."""

    def __init__(self, model: CausalModel, scale: float) -> None:
        self.model, self.scale = model, scale
        self.mask_id, self.null_label, self.order_N = model.mask_id, model.null_label, model.order_N
        self.of_all = guided(model, model.null_label, scale)

    def __call__(self, tokens_BN: Tensor, labels_B: Tensor) -> Tensor:
        return self.of_all(tokens_BN, labels_B)

    def next_logits(self, known_Bt: Tensor, labels_B: Tensor, cache: _TwoCaches | None = None) -> Tensor:
        nobody_B = torch.full_like(labels_B, self.null_label)
        with_class = self.model.next_logits(known_Bt, labels_B, cache and cache.with_class)
        without = self.model.next_logits(known_Bt, nobody_B, cache and cache.without)
        return with_class + self.scale * (with_class - without)

    def new_cache(self, batch_size: int) -> _TwoCaches:
        return _TwoCaches(self.model.new_cache(batch_size), self.model.new_cache(batch_size))
