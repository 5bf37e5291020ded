"""The model as a decoder calls it: the transformer, or a function in its place; the logits are checked at each call.

Shapes: B images, N tokens an image, K codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from maskgit_lab.decoding.base import CausalModel, Model
from maskgit_lab.errors import UserError
from maskgit_lab.nets.transformer import Transformer

LogitsFn: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # (tokens (B, N), labels (B,)) -> logits (B, N, K)


def model_for(net: Transformer, function: LogitsFn | None = None) -> Model:
    """The model as a decoder calls it.

    Args:
        net: the transformer.
        function: in its place, with the same tokens and order.

    Raises:
        UserError: the function cannot be called.
    """
    if isinstance(net, CausalModel):
        return CheckedCausal(net) if function is None else GivenCausal(function, net)
    return CheckedModel(net) if function is None else GivenLogits(function, net)


class CheckedModel:
    """A model whose logits have to be finite."""

    def __init__(self, model: Any) -> None:
        self.model, self.mask_id, self.null_label = model, model.mask_id, model.null_label

    def __call__(self, tokens_BN: Tensor, labels_B: Tensor) -> Tensor:
        logits_BNK: Tensor = self.model(tokens_BN, labels_B)
        check_finite(logits_BNK)
        return logits_BNK


class CheckedCausal(CheckedModel):
    """The same of a model that predicts one token after the other."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.order_N: Tensor = model.order_N

    def next_logits(self, known_Bt: Tensor, labels_B: Tensor, cache: Any = None) -> Tensor:
        logits_BK: Tensor = self.model.next_logits(known_Bt, labels_B, cache)
        check_finite(logits_BK)
        return logits_BK

    def new_cache(self, batch_size: int) -> Any:
        return self.model.new_cache(batch_size)


def check_finite(values: Tensor) -> None:
    """Raises a `UserError` if logits or images contain NaN or infinite values."""
    if not bool(values.isfinite().all()):
        raise UserError("samples contain NaN: the checkpoint's weights are damaged, train or download it again")


class GivenLogits:
    """A function in the place of a model, whose logits are checked at each call."""

    def __init__(self, function: LogitsFn, model: Transformer) -> None:
        if not callable(function):
            raise UserError(f"logits_fn={function!r} is not possible: give a function (tokens, labels) -> logits")
        self.function, self.n_codes = function, model.n_codes
        self.mask_id, self.null_label = model.mask_id, model.null_label

    def __call__(self, tokens_BN: Tensor, labels_B: Tensor) -> Tensor:
        logits_BNK = self.function(tokens_BN, labels_B)
        wanted = (*tokens_BN.shape, self.n_codes)
        if not isinstance(logits_BNK, Tensor) or tuple(logits_BNK.shape) != wanted:
            found = tuple(logits_BNK.shape) if isinstance(logits_BNK, Tensor) else type(logits_BNK).__name__
            raise UserError(f"logits_fn returned {found}: return a tensor of shape (B, N, K) = {wanted}")
        if bool(logits_BNK.isnan().any()):
            raise UserError("logits_fn returned NaN: return numbers, or -inf for a code that must not be sampled")
        return logits_BNK.to(tokens_BN.device)


class GivenCausal(GivenLogits):
    """The same in the place of a model that predicts one token after the other; it has nothing to cache."""

    def __init__(self, function: LogitsFn, model: Any) -> None:
        super().__init__(function, model)
        self.order_N: Tensor = model.order_N

    def next_logits(self, known_Bt: Tensor, labels_B: Tensor, cache: Any = None) -> Tensor:
        n_known = known_Bt.shape[1]
        tokens_BN = torch.full((len(known_Bt), len(self.order_N)), self.mask_id, device=known_Bt.device)
        tokens_BN[:, self.order_N[:n_known]] = known_Bt
        return self(tokens_BN, labels_B)[:, self.order_N[n_known]]

    def new_cache(self, batch_size: int) -> _Nothing:
        return _Nothing()


class _Nothing:
    def take(self, other: object, index_B: Tensor) -> None: ...
