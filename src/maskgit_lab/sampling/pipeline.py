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
    WholeNumber,
    WholeNumbers,
    device_named,
    images_of,
    labels_of,
    plain_number,
    schedule_of,
    seeds_of,
    settings_as_arguments,
    steps_of,
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
    """A trained MaskGIT or autoregressive model: its transformer, its tokenizer and its decoder.

    ```python
    pipeline = Pipeline.load("outputs/digits/schedule_cosine")
    samples = pipeline.sample(classes=[3, 7], steps=8, seed=0)
    samples.images  # (2, 3, H, W), floats in [0, 1]
    samples.tokens  # (2, N), whole numbers below `n_codes`
    ```

    Tokens are the codes of an image, row by row over `grid` = (h, w), and `mask_id` stands for an unknown token. Labels
    are class numbers, in the order of `class_names`. Every invalid argument raises a
    `maskgit_lab.errors.UserError`, whose message is one sentence.

    Attributes:
        model: the transformer, a `torch.nn.Module`, which predicts the codes of masked tokens.
        tokenizer: turns images into codes and codes into images.
        decoder: fills a grid using the model. `sample` and `fill` can replace its schedule, T and temperatures.
        class_names: in the order of the labels.
        label_dropout: share of training images without a label; guidance requires a share above 0.
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
            schedule: the name of a schedule to decode with instead of the checkpoint's own.
            cache_dir: the cache with the run's tokenizer, if it was moved.

        Raises:
            UserError: files are missing or damaged, or do not belong together.
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
        """The label for "no class", for models that were trained with label dropout."""
        return self.model.null_label

    @property
    def is_autoregressive(self) -> bool:
        """Whether the model predicts one token after another; it then has no T and no schedule."""
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

    def at(self, steps: WholeNumber) -> Pipeline:
        """The same pipeline with another T.

        Raises:
            UserError: T is not a whole number of at least 1.
        """
        return replace(self, decoder=self.decoder.with_steps(steps_of(steps)))

    def sample(
        self,
        classes: WholeNumbers,
        seed: WholeNumber | WholeNumbers = 0,
        *,
        steps: WholeNumber | None = None,
        schedule: ScheduleLike | None = None,
        logits_fn: LogitsFn | None = None,
        batch_size: WholeNumber = AT_ONCE,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
        **settings: float | WholeNumber | None,
    ) -> Samples:
        """Draws an image for each class in `classes`: `fill` with all tokens masked.

        The k-th image of a class is the k-th that `sample.py` writes for the same seed and T, whatever else is drawn.

        Args:
            classes: the class of each image, such as `[3, 7]` or `[3] * 16`; sorted classes share most of the first
                step.
            seed: one for all images, or one for each.
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
        labels: WholeNumbers,
        seed: WholeNumber | WholeNumbers = 0,
        *,
        steps: WholeNumber | None = None,
        schedule: ScheduleLike | None = None,
        logits_fn: LogitsFn | None = None,
        batch_size: WholeNumber = AT_ONCE,
        advance: Callable[[int], None] = lambda _: None,
        keep_history: bool = False,
        **settings: float | WholeNumber | None,
    ) -> Samples:
        """Fills in the masked tokens of each image; the others never change.

        An autoregressive model sees only what comes before a token in its order. An image depends only on its tokens,
        label and seed, not on the rest of its batch, except for floating-point rounding. A
        batch that does not fit in a GPU's memory is halved.

        Args:
            tokens: codes, with `mask_id` at the positions to fill.
            labels: the class of each image; `null_label` for none, if the model was trained with label dropout.
            seed: one for all images, or one for each.
            steps: T; None: the decoder's own.
            schedule: a name such as `square_root`, a `Schedule`, or a function `(ratio, n_tokens) -> mask ratio` of
                two tensors: r = (t + 1) / T after step t, and the number of tokens to fill; None: the decoder's own.
            logits_fn: `(tokens (B, N), labels (B,)) -> logits (B, N, K)`, used instead of the model, on `device`; it is
                called with batches of any size.
            batch_size: images decoded at once.
            advance: called with the number of images after each batch.
            keep_history: also returns the grid after each step, which takes T times the memory of the tokens.
            settings: other settings of the decoder, such as `choice_temperature` (4.5) and `guidance` (0), or for an
                autoregressive model `temperature` (1), `top_k`, `top_p` and `kv_cache`.

        Raises:
            UserError: an argument is not possible, or the model's logits or the images contain NaN.
        """
        null_label = self.null_label if self.label_dropout > 0 else None
        labels, tokens = labels_of(labels, self.model.n_classes, null_label=null_label), self._tokens(tokens)
        if len(labels) != len(tokens):
            raise UserError(f"there are {len(labels)} labels for {len(tokens)} images: give one for each")
        steps = None if steps is None else steps_of(steps)
        decoder = self._decoder(steps, schedule, {key: plain_number(value) for key, value in settings.items()})
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
    def logits(self, tokens: Int[Tensor, "n N"], labels: WholeNumbers) -> Float[Tensor, "n N K"]:
        """What the model predicts at every position, on the device of the tokens.

        Args:
            tokens: codes, with `mask_id` where a token is unknown.
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

    def encode(self, images: Float[Tensor, "n 3 H W"], batch_size: WholeNumber = AT_ONCE) -> Int64[Tensor, "n N"]:
        """The codes of images in [0, 1] with the height and width `size`, on the device of the images.

        Raises:
            UserError: they have another size or type, are out of range or contain NaN.
        """
        pixels = images_of(images, self.size)

        def work(batch: range) -> Tensor:
            return self.tokenizer.encode(pixels[batch.start : batch.stop].to(self.device)).flatten(1)

        return torch.cat(in_batches(work, len(pixels), batch_size)).to(images.device)

    def decode(self, tokens: Int[Tensor, "n N"], batch_size: WholeNumber = AT_ONCE) -> Float[Tensor, "n 3 H W"]:
        """Images in [0, 1] from codes, on the device of the codes; `Samples.images` are these, rounded to 8 bits.

        Raises:
            UserError: the tokens have another shape, or some are not codes, such as the mask token; or the images
                contain NaN.
        """
        codes = tokens_of(tokens, self.model.n_tokens, self.n_codes)

        def work(batch: range) -> Tensor:
            return self._pixels(codes[batch.start : batch.stop]).to(tokens.device)

        return torch.cat(in_batches(work, len(codes), batch_size))

    @torch.inference_mode()
    def pixels(self, tokens: Int64[Tensor, "B N"]) -> UInt8[Tensor, "B 3 H W"]:
        """Decodes grids of tokens to 8-bit images on the CPU.

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
        """The decoder with other settings, which are checked like those of a command."""
        if steps is None and schedule is None and not settings:
            return self.decoder
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
