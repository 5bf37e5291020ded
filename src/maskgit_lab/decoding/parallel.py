"""MaskGIT's iterative parallel decoding (section 3.2, Iterative Decoding).

Shapes: B images, N tokens per image, K codes, T steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from maskgit_lab.decoding.base import Decoded, Decoder, Model, check_scale
from maskgit_lab.decoding.guidance import LogitsFn, check_guidance, class_logits, guided
from maskgit_lab.decoding.noise import Randomness, exponential
from maskgit_lab.masking.schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class MaskGIT(Decoder):
    """The paper's decoder."""

    schedule: Schedule  # gamma
    steps: int  # T
    choice_temperature: float = 4.5  # scale of the Gumbel noise on the confidence
    guidance: float = 0.0  # strength of classifier-free guidance (not in the paper); 0 is none

    def __post_init__(self) -> None:
        for key in ("choice_temperature", "guidance"):
            check_scale(key, getattr(self, key))

    def __call__(
        self,
        model: Model,
        tokens: Int64[Tensor, "B N"],
        labels: Int64[Tensor, " B"],
        generators: Sequence[torch.Generator],
    ) -> Decoded:
        logits_fn = class_logits(guided(model, model.null_label, self.guidance), labels, model.mask_id)
        return decode(
            tokens,
            logits_fn,
            schedule=self.schedule,
            steps=self.steps,
            mask_id=model.mask_id,
            choice_temperature=self.choice_temperature,
            generator=generators,
        )

    def check(self, label_dropout: float) -> None:
        check_guidance(self.guidance, label_dropout)


class Step(NamedTuple):
    """One decoding step: the model's input, its output, and what was kept of that."""

    before: Int64[Tensor, "B N"]  # what the model sees, masks included
    filled: Int64[Tensor, "B N"]  # known tokens, and a sampled code at each masked position
    log_p: Float[Tensor, "B N"]  # log-probability that the model gives the sampled code; meaningless at known tokens
    confidence: Float[Tensor, "B N"]  # log_p with this step's Gumbel noise; infinite at known tokens
    after: Int64[Tensor, "B N"]  # filled, with the least confident masked again: `before` of the next step


def decode(
    tokens: Int64[Tensor, "B N"],
    logits_fn: LogitsFn,
    *,
    schedule: Schedule,
    steps: int,
    mask_id: int,
    choice_temperature: float = 4.5,
    generator: Randomness = None,
) -> Decoded:
    """Fills every masked position in `steps` steps; known tokens never change.

    Args:
        tokens: codes, with `mask_id` at the positions to fill; the holes of the images may differ in size.
        logits_fn: maps tokens (B, N) to logits (B, N, K), with K at most `mask_id`.
        schedule: gamma, which determines the share of the hole that stays masked after each step.
        steps: T, at least 1.
        mask_id: the token that stands for "unknown".
        choice_temperature: scale of the Gumbel noise on the confidence; it falls linearly to 0.
        generator: randomness, on the device of the tokens; None uses torch's global generator. With one generator per
            image, an image does not depend on which others are decoded with it.

    Returns:
        The filled tokens, and the grid after each step.

    Raises:
        ValueError: `steps` below 1, a negative temperature, logits that include the mask token, or a number of
            generators that differs from the number of images.
    """
    history = []
    for step in decode_steps(
        tokens,
        logits_fn,
        schedule=schedule,
        steps=steps,
        mask_id=mask_id,
        choice_temperature=choice_temperature,
        generator=generator,
    ):
        history.append(step.after)
    return Decoded(step.filled, torch.stack(history, dim=1))


def decode_steps(
    tokens: Int64[Tensor, "B N"],
    logits_fn: LogitsFn,
    *,
    schedule: Schedule,
    steps: int,
    mask_id: int,
    choice_temperature: float = 4.5,
    generator: Randomness = None,
) -> Iterator[Step]:
    """Yields the steps of `decode` with their confidences; the arguments and errors are the same."""
    _check(steps, choice_temperature)
    if isinstance(generator, Sequence) and len(generator) != len(tokens):
        raise ValueError(f"{len(generator)} generators for {len(tokens)} images: give one for each, or one for all")
    counts_BT = mask_counts((tokens == mask_id).sum(dim=1).cpu(), schedule, steps).to(tokens.device)
    for t in range(steps):
        masked_BN = tokens == mask_id
        sampled_BN, log_p_BN = _sample(logits_fn(tokens), mask_id, generator)
        filled_BN = torch.where(masked_BN, sampled_BN, tokens)
        noise_scale = choice_temperature * (1 - (t + 1) / steps)
        gumbel_BN = -exponential(log_p_BN, generator).log()
        confidence_BN = log_p_BN + noise_scale * gumbel_BN
        confidence_BN = confidence_BN.masked_fill(~masked_BN, torch.inf)
        after_BN = filled_BN.masked_fill(_lowest(confidence_BN, counts_BT[:, t]), mask_id)
        yield Step(tokens, filled_BN, log_p_BN, confidence_BN, after_BN)
        tokens = after_BN


def _check(steps: int, choice_temperature: float) -> None:
    if steps < 1:
        raise ValueError(f"steps={steps}: decoding takes at least 1 step")
    if choice_temperature < 0:
        raise ValueError(f"choice_temperature={choice_temperature}: the temperature cannot be negative")


def mask_counts(n_masked_B: Int64[Tensor, " B"], schedule: Schedule, steps: int) -> Int64[Tensor, "B T"]:
    """How many tokens stay masked after each step, from the number masked at the start.

    max(1, min(masked now - 1, floor(N0 gamma((t + 1) / T)))): the floor is the released code's, the paper's text
    says ceil. An image without a hole stays without one.
    """
    ratio_T = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    n_B1 = n_masked_B[:, None].double()
    share_BT = schedule(ratio_T.expand(len(n_masked_B), steps), n_B1)
    # 1e-9: rounding must not cost a token where the product is exactly a whole number.
    planned_BT = torch.floor(n_B1 * share_BT + 1e-9).long()
    counts, now_B = [], n_masked_B
    for t in range(steps):
        now_B = torch.minimum(planned_BT[:, t], now_B - 1).clamp(min=1).minimum(n_masked_B)
        counts.append(now_B)
    return torch.stack(counts, dim=1)


def _sample(
    logits_BNK: Float[Tensor, "B N K"], mask_id: int, generator: Randomness
) -> tuple[Int64[Tensor, "B N"], Float[Tensor, "B N"]]:
    """One code per position at temperature 1, and its log-probability."""
    if logits_BNK.shape[-1] > mask_id:
        raise ValueError(f"logits over {logits_BNK.shape[-1]} tokens reach the mask token {mask_id}: cut them to codes")
    p_BNK = logits_BNK.float().softmax(dim=-1)
    sampled_BN = (p_BNK / exponential(p_BNK, generator)).argmax(dim=-1)
    return sampled_BN, p_BNK.gather(-1, sampled_BN[..., None])[..., 0].log()


def _lowest(confidence_BN: Float[Tensor, "B N"], count_B: Int64[Tensor, " B"]) -> Bool[Tensor, "B N"]:
    """True at the `count_B` positions of lowest confidence; exactly that many, even with ties."""
    rank_BN = confidence_BN.argsort(dim=-1, stable=True).argsort(dim=-1)
    return rank_BN < count_B[:, None]
