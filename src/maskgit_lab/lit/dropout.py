"""Dropout that is drawn for all images of a step, of which each part takes its rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from maskgit_lab.lit.parts import Part


class WholeBatchDropout(TorchFunctionMode):
    """Within it, `F.dropout` and the dropout of attention draw what one process draws for the whole batch on a CPU.

    The generator of a CPU gives its numbers one after the other, so that each part draws those of all images: with n
    parts, dropout costs n times as much.

    Args:
        part: of the batch of the step; tensors with as many rows as it has images are taken for a value for each.
        seed: of the step, with which one process seeds the global generator.
    """

    def __init__(self, part: Part, seed: int) -> None:
        super().__init__()
        self.part = part
        self.n_rows = max(1, len(part.rows))
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        own: Mapping[Any, Callable[..., Any]]
        own = {F.dropout: self._dropout, F.scaled_dot_product_attention: self._attention}
        return own.get(function, function)(*arguments, **named or {})

    def _dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0 or len(input) != self.n_rows:
            return F.dropout(input, p, training, inplace)
        kept = input.new_empty((self.part.size, *input.shape[1:])).bernoulli_(1 - p, generator=self.generator)
        return input * self.part.of(kept.div_(1 - p))

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Softmax(Q K^T / sqrt(d)) V, written out, for there is no other way to its weights."""
        if dropout_p == 0 or enable_gqa:
            given = attn_mask, dropout_p, is_causal
            return F.scaled_dot_product_attention(query, key, value, *given, scale=scale, enable_gqa=enable_gqa)
        scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attn_mask is not None:
            is_bool = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -math.inf) if is_bool else scores + attn_mask
        return self._dropout(scores.softmax(dim=-1), dropout_p) @ value
