"""Autoregressive decoding: one token at a time, as the paper's baseline does (MaskGIT, section 4.2).

Shapes: B images, N tokens per image, t tokens before the next one, K codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from maskgit_lab.decoding.base import CausalModel, Decoded, Decoder, Model, check_scale
from maskgit_lab.decoding.guidance import check_guidance, guided_causal
from maskgit_lab.decoding.noise import exponential
from maskgit_lab.errors import UserError

NextLogits = Callable[[Tensor], Tensor]  # the first t tokens of the order (B, t) -> logits of the next one (B, K)


@dataclass(frozen=True, kw_only=True)
class Autoregressive(Decoder):
    """Draws one token at a time in the order of the model; the paper uses temperature 1 and all codes."""

    is_autoregressive: ClassVar[bool] = True

    temperature: float = 1.0  # divides the logits
    top_k: int | None = None  # draws from this many of the likeliest codes; None: from all
    top_p: float = 1.0  # draws from the smallest set of likeliest codes whose probabilities add up to this
    guidance: float = 0.0  # strength of classifier-free guidance (not in the paper); 0 is none
    kv_cache: bool = True  # keeps the keys and values of earlier tokens, instead of computing them for every token

    def __post_init__(self) -> None:
        for key, allowed, advice in (
            ("temperature", self.temperature > 0, "a number above 0"),
            ("top_k", self.top_k is None or self.top_k >= 1, "a whole number of at least 1, or null for all codes"),
            ("top_p", 0 < self.top_p <= 1, "a number above 0 and at most 1"),
        ):
            if not allowed:
                raise UserError(f"decode.{key}={getattr(self, key)} is not possible: give {advice}")
        check_scale("guidance", self.guidance)

    def __call__(
        self,
        model: Model,
        tokens: Int64[Tensor, "B N"],
        labels: Int64[Tensor, " B"],
        generators: Sequence[torch.Generator],
    ) -> Decoded:
        """Fills masked tokens in the order of the model.

        A token is drawn given those before it, including known ones; known tokens after it are not seen, which limits
        what an autoregressive model can do with a hole.
        """
        assert isinstance(model, CausalModel)  # ensured by `check_fits_model`
        next_logits = class_next_logits(guided_causal(model, self.guidance), labels, kv_cache=self.kv_cache)
        return decode_in_order(
            tokens,
            next_logits,
            order=model.order_N,
            mask_id=model.mask_id,
            probabilities=self._probabilities,
            generators=generators,
        )

    def check(self, label_dropout: float) -> None:
        check_guidance(self.guidance, label_dropout)

    def _probabilities(self, logits_BK: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        return probabilities(logits_BK, self.temperature, self.top_k, self.top_p)


def class_next_logits(model: CausalModel, labels_B: Int64[Tensor, " B"], *, kv_cache: bool) -> NextLogits:
    """The logits of the next token for images of these classes, whose tokens are passed in order.

    Only the class comes before the first token: the model then runs once per class.

    Args:
        model: gives the logits.
        labels_B: the class of each image.
        kv_cache: whether keys and values are kept from call to call; each call must then extend the tokens of the
            previous one.
    """
    cache = model.new_cache(len(labels_B)) if kv_cache else None

    def next_logits(known_Bt: Tensor) -> Tensor:
        if known_Bt.shape[1] > 0:
            return model.next_logits(known_Bt, labels_B, cache)
        classes_C, index_B = labels_B.unique(return_inverse=True)
        shared = None if cache is None else model.new_cache(len(classes_C))
        logits_CK = model.next_logits(known_Bt[: len(classes_C)], classes_C, shared)
        if cache is not None:
            cache.take(shared, index_B)
        return logits_CK[index_B]

    return next_logits


def decode_in_order(
    tokens: Int64[Tensor, "B N"],
    next_logits: NextLogits,
    *,
    order: Int64[Tensor, " N"],
    mask_id: int,
    probabilities: Callable[[Tensor], Tensor],
    generators: Sequence[torch.Generator],
) -> Decoded:
    """Fills the masked positions one after another; known tokens never change.

    Args:
        tokens: codes, with `mask_id` at the positions to fill.
        next_logits: maps the first t tokens of the order to logits (B, K) of the next.
        order: of the positions.
        mask_id: the token that stands for "unknown".
        probabilities: maps logits (B, K) to the probabilities that tokens are drawn from.
        generators: randomness for each image, on the device of the tokens; an image draws only for its masked tokens.

    Returns:
        The filled tokens, and the grid after each of N steps.
    """
    if len(generators) != len(tokens):
        raise ValueError(f"{len(generators)} generators for {len(tokens)} images: give one for each")
    ordered_BN = tokens[:, order]
    masked_BN = ordered_BN == mask_id
    masked_here = masked_BN.cpu()
    for t in range(len(order)):
        if not bool(masked_here[:, t].any()):
            continue
        p_BK = probabilities(next_logits(ordered_BN[:, :t]))
        drawn_B = _draw(p_BK, masked_here[:, t], generators)
        ordered_BN[:, t] = torch.where(masked_BN[:, t], drawn_B, ordered_BN[:, t])
    rank_N = order.argsort()
    filled_BN = ordered_BN[:, rank_N]
    return Decoded(filled_BN, lambda: _history(tokens, filled_BN, rank_N, mask_id))


def _history(
    tokens_BN: Int64[Tensor, "B N"], filled_BN: Int64[Tensor, "B N"], rank_N: Int64[Tensor, " N"], mask_id: int
) -> Int64[Tensor, "B N N"]:
    """After step t the first t + 1 tokens of the order are filled, and known ones are known from the start."""
    is_filled_NN = rank_N[None] <= torch.arange(len(rank_N), device=rank_N.device)[:, None]
    is_known_B1N = (tokens_BN != mask_id)[:, None]
    return torch.where(is_filled_NN[None] | is_known_B1N, filled_BN[:, None], mask_id)


def probabilities(
    logits_BK: Float[Tensor, "B K"], temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
) -> Float[Tensor, "B K"]:
    """The probabilities that a token is drawn from: softmax(logits / temperature), cut to the likeliest codes.

    Args:
        logits_BK: of the codes.
        temperature: above 0.
        top_k: the number of codes to keep; None: all.
        top_p: keeps the smallest set of codes whose probabilities add up to it (Holtzman et al. 2020), after `top_k`.

    Returns:
        In single precision; codes that are cut have 0, and the others may add up to less than 1.
    """
    # The largest is subtracted before the division, so that no temperature is too low for single precision.
    below_BK = logits_BK.float() - logits_BK.float().amax(dim=-1, keepdim=True)
    p_BK = (below_BK / max(temperature, torch.finfo(torch.float32).tiny)).softmax(dim=-1)
    if top_k is None and top_p == 1:
        return p_BK
    sorted_BK, index_BK = p_BK.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        sorted_BK[:, top_k:] = 0
        sorted_BK = sorted_BK / sorted_BK.sum(dim=-1, keepdim=True)
    before_BK = sorted_BK.cumsum(dim=-1) - sorted_BK
    kept_BK = sorted_BK.masked_fill(before_BK >= top_p, 0)  # the first, with nothing before it, is always kept
    return torch.zeros_like(p_BK).scatter(-1, index_BK, kept_BK)


def _draw(
    p_BK: Float[Tensor, "B K"], needed_B: Bool[Tensor, " B"], generators: Sequence[torch.Generator]
) -> Int64[Tensor, " B"]:
    """A code for each image that needs one; any code for the others, which draw nothing."""
    rows = needed_B.nonzero()[:, 0].tolist()
    drawn_B: Any = torch.zeros(len(p_BK), dtype=torch.int64, device=p_BK.device)
    p_RK = p_BK[rows]
    drawn_B[rows] = (p_RK / exponential(p_RK, [generators[i] for i in rows])).argmax(dim=-1)
    return drawn_B
