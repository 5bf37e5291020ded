"""From labels and seeds to images: a trained transformer, its tokenizer and a decoder.

Shapes: n images, N = h w tokens an image, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from maskgit_lab.decoding.base import Decoder
from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import to_uint8
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.sampling.memory import in_parts_that_fit
from maskgit_lab.tokenizers.base import Tokenizer


class Samples(NamedTuple):
    """Generated images, on the CPU."""

    images: UInt8[Tensor, "n 3 H W"]
    tokens: Int64[Tensor, "n N"]
    history: Int64[Tensor, "n T N"] | None  # the grid after each step, masks included, if it was asked for


@dataclass(frozen=True)
class Pipeline:
    """A trained model, ready to sample."""

    model: Transformer  # predicts the codes of masked tokens
    tokenizer: Tokenizer  # codes to images
    decoder: Decoder  # fills a grid with the model
    class_names: Sequence[str]  # in the order of the labels

    @classmethod
    def load(cls, checkpoint: Path | str, tokenizer: Path | str | None = None, device: str = "auto") -> Pipeline:
        """Opens the folder of a run, or the safetensors files of a transformer and its tokenizer.

        Args:
            checkpoint: the folder or the transformer's file.
            tokenizer: the tokenizer's file, for a transformer's file.
            device: `auto`, `cpu`, `gpu`, `cuda` or `mps`.

        Raises:
            UserError: they are missing or damaged, or do not belong together.
        """
        from maskgit_lab.sampling.loading import open_trained  # which builds pipelines itself

        return open_trained(str(checkpoint), None if tokenizer is None else str(tokenizer), {}, device).pipeline

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of an image in tokens."""
        side = math.isqrt(self.model.n_tokens)
        return side, side

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image in pixels."""
        return self.grid[0] * self.tokenizer.downsample, self.grid[1] * self.tokenizer.downsample

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.model.head_bias.device

    def at(self, steps: int) -> Pipeline:
        """The same pipeline with another T."""
        return replace(self, decoder=self.decoder.with_steps(steps))

    def sample(
        self,
        labels: Int64[Tensor, " n"],
        seeds: Sequence[int],
        *,
        batch_size: int = 128,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
    ) -> Samples:
        """One image for each label and seed; see `fill`, which is given nothing but masked tokens here.

        Args:
            labels: classes; sorted ones share most of the first step.
            seeds: of each image.
            batch_size: images decoded at once.
            advance: called with the number of images after each batch.
            keep_history: costs T times the memory of the tokens.
        """
        tokens = torch.full((1, 1), self.model.mask_id).expand(len(labels), self.model.n_tokens)
        return self.fill(tokens, labels, seeds, batch_size=batch_size, advance=advance, keep_history=keep_history)

    @torch.inference_mode()
    def fill(
        self,
        tokens: Int64[Tensor, "n N"],
        labels: Int64[Tensor, " n"],
        seeds: Sequence[int],
        *,
        batch_size: int = 128,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
    ) -> Samples:
        """Fills the masked tokens of each image; the others never change.

        An image depends on its tokens, its label and its seed alone, whatever the batch that it is in, but for the
        rounding of floating-point numbers. A batch that does not fit the memory of a GPU is halved.

        Args:
            tokens: codes, with `model.mask_id` where one is to be found.
            labels: the class of each image.
            seeds: of each image.
            batch_size: images decoded at once.
            advance: called with the number of images after each batch.
            keep_history: costs T times the memory of the tokens.

        Raises:
            UserError: the model's logits or the images contain NaN.
        """

        def work(batch: range) -> Samples:
            rows = slice(batch.start, batch.stop)
            return self._fill(tokens[rows], labels[rows], seeds[rows], keep_history)

        parts: list[Samples] = []
        for start in range(0, len(labels), batch_size):
            batch = range(start, min(start + batch_size, len(labels)))
            parts += in_parts_that_fit(work, batch)
            advance(len(batch))
        histories = [part.history for part in parts if part.history is not None]
        images, found = (torch.cat([part[i] for part in parts]) for i in (0, 1))  # type: ignore[misc]
        return Samples(images, found, torch.cat(histories) if keep_history else None)

    @torch.inference_mode()
    def images(self, tokens: Int64[Tensor, "B N"]) -> UInt8[Tensor, "B 3 H W"]:
        """What the tokenizer makes of grids of tokens, on the CPU.

        Raises:
            UserError: the images contain NaN.
        """
        pixels = self.tokenizer.decode(tokens.to(self.device).unflatten(1, self.grid))
        _check_finite(pixels)
        return to_uint8(pixels).cpu()

    def _fill(self, tokens: Tensor, labels: Tensor, seeds: Sequence[int], keep_history: bool) -> Samples:
        device = self.device
        generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        decoded = self.decoder(_Checked(self.model), tokens.to(device), labels.to(device), generators)
        history = decoded.history.cpu() if keep_history else None
        return Samples(self.images(decoded.tokens), decoded.tokens.cpu(), history)


class _Checked:
    """A model whose logits have to be finite."""

    def __init__(self, model: Transformer) -> None:
        self.model, self.mask_id, self.null_label = model, model.mask_id, model.null_label

    def __call__(self, tokens_BN: Tensor, labels_B: Tensor) -> Tensor:
        logits_BNK: Tensor = self.model(tokens_BN, labels_B)
        _check_finite(logits_BNK)
        return logits_BNK


def _check_finite(values: Tensor) -> None:
    if not bool(values.isfinite().all()):
        raise UserError("samples contain NaN: the checkpoint's weights are damaged, train or download it again")
