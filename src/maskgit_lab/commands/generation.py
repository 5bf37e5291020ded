"""Samples from a trained transformer and tokenizer.

Shapes: n images, N = h w tokens an image, T steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from maskgit_lab.decoding.conditional import class_logits, guided
from maskgit_lab.decoding.parallel import Decoded, decode
from maskgit_lab.errors import UserError
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.metrics.features import to_uint8
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.tokenizers.base import Tokenizer


class Samples(NamedTuple):
    """Generated images, on the CPU."""

    images: UInt8[Tensor, "n 3 H W"]
    seconds: float
    history: Int64[Tensor, "n T N"] | None  # the grid after each step, masks included, if it was asked for


@dataclass(frozen=True)
class Sampler:
    """Class-conditional generation with fixed settings."""

    model: Transformer
    tokenizer: Tokenizer
    grid: tuple[int, int]
    schedule: Schedule
    choice_temperature: float
    batch_size: int
    guidance: float = 0.0

    @torch.inference_mode()
    def __call__(
        self,
        labels_n: Int64[Tensor, " n"],
        steps: int,
        seed: int,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
    ) -> Samples:
        """One image for each label, decoded in `steps` steps.

        Args:
            labels_n: classes; sorted ones share most of the first step.
            steps: T.
            seed: the same seed and batch size give the same images.
            advance: told the number of images after each batch.
            keep_history: costs T times the memory of the tokens.
        """
        start = time.perf_counter()
        images, history = [], []
        for i, labels_B in enumerate(labels_n.split(self.batch_size)):
            decoded = self._decode(labels_B, steps, mix_seeds(seed, steps, i))
            codes_Bhw = decoded.tokens.unflatten(1, self.grid)
            images.append(to_uint8(self.tokenizer.decode(codes_Bhw)).cpu())
            if keep_history:
                history.append(decoded.history.cpu())
            advance(len(labels_B))
        seconds = time.perf_counter() - start
        return Samples(torch.cat(images), seconds, torch.cat(history) if keep_history else None)

    def _decode(self, labels_B: Tensor, steps: int, seed: int) -> Decoded:
        device = self.model.head_bias.device
        labels_B, mask_id = labels_B.to(device), self.model.mask_id
        return decode(
            torch.full((len(labels_B), self.model.n_tokens), mask_id, device=device),
            class_logits(guided(self.model, self.model.null_label, self.guidance), labels_B, mask_id),
            schedule=self.schedule,
            steps=steps,
            mask_id=mask_id,
            choice_temperature=self.choice_temperature,
            generator=torch.Generator(device).manual_seed(seed),
        )


def check_guidance(key: str, guidance: float, label_dropout: float) -> None:
    """Raises a `UserError` for guidance with a model that has not learned to do without a class."""
    if guidance > 0 and label_dropout == 0:
        raise UserError(f"{key}={guidance} needs a model that was trained with mvtm.label_dropout above 0: set it to 0")
