"""From labels and seeds to images: a trained transformer, its tokenizer and a decoder.

Shapes: n images, H x W pixels, N = h w tokens an image, K codes, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor

from maskgit_lab.decoding.base import COMMON, Decoder, build_decoder
from maskgit_lab.errors import UserError
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objects import TARGET
from maskgit_lab.sampling.given import (
    ScheduleLike,
    check_steps,
    device_named,
    images_of,
    labels_of,
    schedule_of,
    seeds_of,
    settings_as_arguments,
    tokens_of,
)
from maskgit_lab.sampling.memory import in_batches
from maskgit_lab.sampling.models import LogitsFn, check_finite, model_for
from maskgit_lab.tokenizers.base import Tokenizer

AT_ONCE = 128  # images


class Samples(NamedTuple):
    """Generated images, on the CPU."""

    pixels: UInt8[Tensor, "n 3 H W"]
    tokens: Int64[Tensor, "n N"]
    history: Int64[Tensor, "n T N"] | None  # the grid after each step, masks included, if it was asked for

    @property
    def images(self) -> Float[Tensor, "n 3 H W"]:
        """The pixels as floats in [0, 1]."""
        return self.pixels / 255


@dataclass(frozen=True)
class Pipeline:
    """A trained MaskGIT, or an autoregressive model: its transformer, its tokenizer and how it decodes.

    ```python
    pipeline = Pipeline.load("outputs/digits/schedule_cosine")
    samples = pipeline.sample(classes=[3, 7], steps=8, seed=0)
    samples.images  # (2, 3, H, W), floats in [0, 1]
    samples.tokens  # (2, N), whole numbers below `n_codes`
    ```

    Tokens are the codes of an image row by row, `grid` = (h, w), and `mask_id` stands for an unknown one. Labels are
    numbers of classes, in the order of `class_names`. Every mistake in an argument is a
    `maskgit_lab.errors.UserError`, whose message is one sentence.

    Attributes:
        model: the transformer, a `torch.nn.Module`, which predicts the codes of masked tokens.
        tokenizer: turns images into codes and codes into images.
        decoder: fills a grid with the model: its schedule, T and temperatures, which `sample` and `fill` may replace.
        class_names: in the order of the labels.
        label_dropout: share of training images without a label; guidance needs one above 0.
    """

    model: Transformer
    tokenizer: Tokenizer
    decoder: Decoder
    class_names: Sequence[str]
    label_dropout: float = 0.0

    @classmethod
    def load(
        cls,
        checkpoint: Path | str,
        tokenizer: Path | str | None = None,
        *,
        device: torch.device | str = "auto",
        schedule: str | None = None,
        cache_dir: Path | str | None = None,
    ) -> Pipeline:
        """Opens a trained model.

        Args:
            checkpoint: the folder of a run, a folder written by `export.py`, or a transformer's safetensors file.
            tokenizer: the tokenizer's safetensors file, for a checkpoint that is a file. Released weights become such
                files with `python -m maskgit_lab.nets.released` and `python -m maskgit_lab.tokenizers.released`.
            device: `auto`, `cpu`, `gpu`, `cuda`, `cuda:1`, `mps`, or a torch device.
            schedule: the name of a schedule to decode with in place of the checkpoint's own.
            cache_dir: the cache that the run's tokenizer lies in, where that was moved.

        Raises:
            UserError: they are missing or damaged, or do not belong together.
        """
        from maskgit_lab.sampling.loading import open_trained  # which builds pipelines itself

        decode = {} if schedule is None else {"schedule": schedule}
        named, cache = (None if path is None else str(path) for path in (tokenizer, cache_dir))
        with settings_as_arguments():
            return open_trained(str(checkpoint), named, decode, device_named(device), cache).pipeline

    @property
    def mask_id(self) -> int:
        """The token that stands for an unknown code."""
        return self.model.mask_id

    @property
    def null_label(self) -> int:
        """The label of no class, for `logits` of a model that was trained with label dropout."""
        return self.model.null_label

    @property
    def is_autoregressive(self) -> bool:
        """Whether the model predicts one token after the other; it then has no T and no schedule."""
        return self.model.is_autoregressive

    @property
    def n_codes(self) -> int:
        """K, the number of different codes."""
        return self.model.n_codes

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
        """The same pipeline with another T.

        Raises:
            UserError: T is no whole number of at least 1.
        """
        check_steps(steps)
        return replace(self, decoder=self.decoder.with_steps(steps))

    def sample(
        self,
        classes: Sequence[int] | Int[Tensor, " n"],
        seed: int | Sequence[int] = 0,
        *,
        steps: int | None = None,
        schedule: ScheduleLike | None = None,
        logits_fn: LogitsFn | None = None,
        batch_size: int = AT_ONCE,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
        **settings: float | None,
    ) -> Samples:
        """Draws an image for each of some classes: `fill` with nothing but masked tokens.

        The k-th image of a class is the k-th that `sample.py` writes for the same seed and T, whatever else is drawn.

        Args:
            classes: the class of each image, such as `[3, 7]` or `[3] * 16`; sorted ones share most of the first step.
            seed: of all images, or one for each.
            steps: T; None: the decoder's own.
            schedule: as in `fill`.
            logits_fn: as in `fill`.
            batch_size: images decoded at once.
            advance: called with the number of images after each batch.
            keep_history: as in `fill`.
            settings: as in `fill`.

        Raises:
            UserError: an argument is not possible, or the model's logits or the images contain NaN.
        """
        labels = labels_of(classes, self.model.n_classes)
        tokens = torch.full((1, 1), self.mask_id).expand(len(labels), self.model.n_tokens)
        return self.fill(
            tokens,
            labels,
            seed,
            steps=steps,
            schedule=schedule,
            logits_fn=logits_fn,
            batch_size=batch_size,
            advance=advance,
            keep_history=keep_history,
            **settings,
        )

    @torch.inference_mode()
    def fill(
        self,
        tokens: Int[Tensor, "n N"],
        labels: Sequence[int] | Int[Tensor, " n"],
        seed: int | Sequence[int] = 0,
        *,
        steps: int | None = None,
        schedule: ScheduleLike | None = None,
        logits_fn: LogitsFn | None = None,
        batch_size: int = AT_ONCE,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
        **settings: float | None,
    ) -> Samples:
        """Fills the masked tokens of each image; the others never change.

        An autoregressive model sees only what comes before a token in its order. An image depends on its tokens, its
        label and its seed alone, whatever the batch that it is in, but for the rounding of floating-point numbers. A
        batch that does not fit the memory of a GPU is halved.

        Args:
            tokens: codes, with `mask_id` where one is to be found.
            labels: the class of each image.
            seed: of all images, or one for each.
            steps: T; None: the decoder's own.
            schedule: a name such as `square_root`, a `Schedule`, or a function `(ratio, n_tokens) -> mask ratio` of
                two tensors: r = (t + 1) / T after step t, and the number of tokens to fill; None: the decoder's own.
            logits_fn: `(tokens (B, N), labels (B,)) -> logits (B, N, K)` in the place of `logits`, on `device`; it is
                called with batches of any size.
            batch_size: images decoded at once.
            advance: called with the number of images after each batch.
            keep_history: returns the grid after each step too, for T times the memory of the tokens.
            settings: others of the decoder, such as `choice_temperature` (4.5) and `guidance` (0), or of an
                autoregressive model `temperature` (1), `top_k`, `top_p` and `kv_cache`.

        Raises:
            UserError: an argument is not possible, or the model's logits or the images contain NaN.
        """
        labels, tokens = labels_of(labels, self.model.n_classes), self._tokens(tokens)
        if len(labels) != len(tokens):
            raise UserError(f"there are {len(labels)} labels for {len(tokens)} images: give one for each")
        decoder = self._decoder(steps, schedule, settings)
        model = model_for(self.model, logits_fn)
        seeds = seeds_of(seed, steps or int(decoder.settings.get("steps", self.model.n_tokens)), labels)

        def work(batch: range) -> Samples:
            rows = slice(batch.start, batch.stop)
            generators = [torch.Generator(self.device).manual_seed(own) for own in seeds[rows]]
            decoded = decoder(model, tokens[rows].to(self.device), labels[rows].to(self.device), generators)
            history = decoded.history.cpu() if keep_history else None
            return Samples(self.pixels(decoded.tokens), decoded.tokens.cpu(), history)

        parts = in_batches(work, len(labels), batch_size, advance)
        histories = [part.history for part in parts if part.history is not None]
        pixels, found = (torch.cat([part[i] for part in parts]) for i in (0, 1))  # type: ignore[misc]
        return Samples(pixels, found, torch.cat(histories) if keep_history else None)

    @torch.no_grad()
    def logits(self, tokens: Int[Tensor, "n N"], labels: Sequence[int] | Int[Tensor, " n"]) -> Float[Tensor, "n N K"]:
        """What the model predicts at every position, where the tokens are.

        Args:
            tokens: codes, with `mask_id` where one is unknown.
            labels: the class of each image; `null_label` for none.

        Raises:
            UserError: an argument is not possible.
        """
        classes = labels_of(labels, self.model.n_classes, null_label=self.null_label)
        known = self._tokens(tokens)
        if len(classes) != len(known):
            raise UserError(f"there are {len(classes)} labels for {len(known)} images: give one for each")
        logits: Tensor = self.model(known.to(self.device), classes.to(self.device))
        return logits.to(tokens.device)

    def encode(self, images: Float[Tensor, "n 3 H W"], batch_size: int = AT_ONCE) -> Int64[Tensor, "n N"]:
        """The codes of images in [0, 1] of the height and width `size`, where the images are.

        Raises:
            UserError: they have another size or type, are out of range or contain NaN.
        """
        pixels = images_of(images, self.size)

        def work(batch: range) -> Tensor:
            return self.tokenizer.encode(pixels[batch.start : batch.stop].to(self.device)).flatten(1)

        return torch.cat(in_batches(work, len(pixels), batch_size)).to(images.device)

    def decode(self, tokens: Int[Tensor, "n N"], batch_size: int = AT_ONCE) -> Float[Tensor, "n 3 H W"]:
        """Images in [0, 1] from codes, where the codes are; `Samples.images` are these, rounded to 8 bits.

        Raises:
            UserError: the tokens have another shape, or hold no code, such as the mask token; or the images contain
                NaN.
        """
        codes = tokens_of(tokens, self.model.n_tokens, self.n_codes)

        def work(batch: range) -> Tensor:
            return self._pixels(codes[batch.start : batch.stop]).to(tokens.device)

        return torch.cat(in_batches(work, len(codes), batch_size))

    @torch.inference_mode()
    def pixels(self, tokens: Int64[Tensor, "B N"]) -> UInt8[Tensor, "B 3 H W"]:
        """What the tokenizer makes of grids of tokens, in 8 bits and on the CPU.

        Raises:
            UserError: the images contain NaN.
        """
        return to_uint8(self._pixels(tokens)).cpu()

    def _pixels(self, tokens: Tensor) -> Tensor:
        pixels = self.tokenizer.decode(tokens.to(self.device).unflatten(1, self.grid))
        check_finite(pixels)
        return pixels

    def _tokens(self, tokens: Tensor) -> Tensor:
        return tokens_of(tokens, self.model.n_tokens, self.n_codes, mask_id=self.mask_id)

    def _decoder(self, steps: int | None, schedule: ScheduleLike | None, settings: dict[str, Any]) -> Decoder:
        """The decoder with other settings, checked as those of a command are."""
        if steps is None and schedule is None and not settings:
            return self.decoder
        if steps is not None:
            check_steps(steps)
        kind = type(self.decoder)
        own = {field.name: getattr(self.decoder, field.name) for field in fields(self.decoder)}  # type: ignore[arg-type]
        for name, value in (("schedule", schedule), ("steps", steps)):
            if value is not None and name not in own and (name == "schedule" or self.is_autoregressive):
                raise UserError(f"the decoder {kind.__name__} has no {name}: leave it out")
        given = {key: value for key, value in own.items() if key not in COMMON} | settings
        with settings_as_arguments():
            if schedule is not None:
                own["schedule"] = schedule_of(schedule, own["schedule"])
            target = {TARGET: f"{kind.__module__}.{kind.__qualname__}"}
            decoder = build_decoder({**target, **given}, own.get("schedule"), steps or own.get("steps", 1))
            decoder.check_fits_model(autoregressive=self.is_autoregressive, label_dropout=self.label_dropout)
        return decoder
