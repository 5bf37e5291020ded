"""Samples from a trained transformer and tokenizer.

Shapes: n images, N = h w tokens an image, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from maskgit_lab.tokenizers.base import Tokenizer


class Samples(NamedTuple):
    """Generated images, on the CPU."""

    images: UInt8[Tensor, "n 3 H W"]
    tokens: Int64[Tensor, "n N"]
    history: Int64[Tensor, "n T N"] | None  # the grid after each step, masks included, if it was asked for


@dataclass(frozen=True)
class Sampler:
    """Class-conditional generation with fixed settings."""

    model: Transformer
    tokenizer: Tokenizer
    grid: tuple[int, int]
    schedule: Schedule
    choice_temperature: float
    guidance: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image in pixels."""
        return self.grid[0] * self.tokenizer.downsample, self.grid[1] * self.tokenizer.downsample

    @torch.inference_mode()
    def __call__(
        self,
        labels_n: Int64[Tensor, " n"],
        seeds: Sequence[int],
        steps: int,
        batch_size: int,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
    ) -> Samples:
        """One image for each label and seed, decoded in `steps` steps.

        An image depends on its label, its seed and T alone, whatever the batch that it is in, but for the rounding of
        floating-point numbers.

        Args:
            labels_n: classes; sorted ones share most of the first step.
            seeds: of each image.
            steps: T.
            batch_size: images decoded at once.
            advance: told the number of images after each batch.
            keep_history: costs T times the memory of the tokens.

        Raises:
            UserError: the model's logits or the images are no numbers.
        """
        images, tokens, history = [], [], []
        for start in range(0, len(labels_n), batch_size):
            labels_B = labels_n[start : start + batch_size]
            decoded = self._decode(labels_B, seeds[start : start + batch_size], steps)
            images.append(self.images(decoded.tokens))
            tokens.append(decoded.tokens.cpu())
            if keep_history:
                history.append(decoded.history.cpu())
            advance(len(labels_B))
        return Samples(torch.cat(images), torch.cat(tokens), torch.cat(history) if keep_history else None)

    @torch.inference_mode()
    def images(self, tokens_BN: Int64[Tensor, "B N"]) -> UInt8[Tensor, "B 3 H W"]:
        """What the tokenizer makes of grids of tokens, on the CPU.

        Raises:
            UserError: the images are no numbers.
        """
        pixels = self.tokenizer.decode(tokens_BN.to(self.model.head_bias.device).unflatten(1, self.grid))
        _check_numbers(pixels)
        return to_uint8(pixels).cpu()

    def _decode(self, labels_B: Tensor, seeds: Sequence[int], steps: int) -> Decoded:
        device = self.model.head_bias.device
        labels_B, mask_id = labels_B.to(device), self.model.mask_id
        logits_fn = class_logits(guided(self.model, self.model.null_label, self.guidance), labels_B, mask_id)

        def checked(tokens_BN: Tensor) -> Tensor:
            logits_BNK = logits_fn(tokens_BN)
            _check_numbers(logits_BNK)
            return logits_BNK

        return decode(
            torch.full((len(labels_B), self.model.n_tokens), mask_id, device=device),
            checked,
            schedule=self.schedule,
            steps=steps,
            mask_id=mask_id,
            choice_temperature=self.choice_temperature,
            generator=[torch.Generator(device).manual_seed(seed) for seed in seeds],
        )


def _check_numbers(values: Tensor) -> None:
    if not bool(values.isfinite().all()):
        raise UserError("the samples are no numbers: the weights of the model are not sound, so train or get it again")


def check_guidance(key: str, guidance: float, label_dropout: float) -> None:
    """Raises a `UserError` for guidance with a model that has not learned to do without a class."""
    if guidance > 0 and label_dropout == 0:
        raise UserError(f"{key}={guidance} needs a model that was trained with mvtm.label_dropout above 0: set it to 0")
