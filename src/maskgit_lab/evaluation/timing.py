"""How long decoding takes: one way to time it, for every model and every decoder.

Shapes: B images, N tokens an image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from maskgit_lab.decoding.base import CausalModel, Decoder, Model
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.sampling.models import model_for
from maskgit_lab.tokenizers.base import Tokenizer

SHORT = 2  # steps of MaskGIT's warm-up, which is enough to allocate memory and to choose kernels
PROBED = 4  # steps of an autoregressive model at each place where they are timed; the first fills its cache


class Lap(NamedTuple):
    """Work that was done once, with the clock running."""

    made: Tensor  # tokens or images
    seconds: float
    cpu_seconds: float  # of all threads of the process: what others on the machine leave as it is


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """The tokens of a batch of images that start empty.

    Every step runs for every image: one known token among all of them keeps the first step of MaskGIT from being
    shared within a class. Of an autoregressive model, the first of N steps is shared all the same.
    """

    net: Transformer  # in evaluation mode
    decoder: Decoder
    labels_B: Int64[Tensor, " B"]  # on the device of the network

    def part(self, batch: range) -> Decoding:
        """The decoding of some of the images."""
        return replace(self, labels_B=self.labels_B[batch.start : batch.stop])

    @torch.inference_mode()
    def tokens(self) -> Int64[Tensor, "B N"]:
        """Decodes; the same tokens every time."""
        return self._decode(self.decoder, self._model, self._empty())

    def lap(self) -> Lap:
        """Decodes once."""
        return _lap(self.tokens, self.labels_B.device)

    @torch.inference_mode()
    def warm_up(self) -> float:
        """Runs a few steps; returns how many seconds all of them will take.

        The steps of an autoregressive model differ: Simpson's rule over the first, the middle and the last of them is
        exact where their cost is a quadratic function of the tokens before, as that of attention is.
        """
        n_tokens = self.net.n_tokens
        if not self.decoder.is_autoregressive:
            seconds = self._steps(self.decoder.with_steps(SHORT), self._empty())
            return seconds[-1] * self.decoder.settings["steps"] if "steps" in self.decoder.settings else sum(seconds)
        if n_tokens <= PROBED:
            return sum(self._steps(self.decoder, self._empty()))
        last = n_tokens - PROBED
        self._step(last)  # allocates the memory of the longest sequence
        first, middle, longest = (self._step(t) for t in (0, last // 2, last))
        return n_tokens / 6 * (first + 4 * middle + longest)

    def _step(self, t: int) -> float:
        """Seconds of one step of an autoregressive model after some t tokens, whose cache is filled."""
        assert isinstance(self.net, CausalModel)
        tokens_BN = torch.zeros_like(self._empty())
        tokens_BN[:, self.net.order_N[t : t + PROBED]] = self.net.mask_id
        return median(self._steps(self.decoder, tokens_BN)[1:])

    def _steps(self, decoder: Decoder, tokens_BN: Tensor) -> list[float]:
        """Seconds of each step: from one call of the model to the next, or to the end."""
        model = self._model
        noting = (_NotingCausal if isinstance(model, CausalModel) else _Noting)(model, self._now)
        self._decode(decoder, noting, tokens_BN)
        ends = [*noting.starts[1:], self._now()]
        return [end - start for start, end in zip(noting.starts, ends, strict=True)]

    def _decode(self, decoder: Decoder, model: Model, tokens_BN: Tensor) -> Tensor:
        device = self.labels_B.device
        generators = [torch.Generator(device).manual_seed(i) for i in range(len(tokens_BN))]
        return decoder(model, tokens_BN, self.labels_B, generators).tokens

    @property
    def _model(self) -> Model:
        return model_for(self.net)

    def _empty(self) -> Tensor:
        shape = len(self.labels_B), self.net.n_tokens
        tokens_BN = torch.full(shape, self.net.mask_id, device=self.labels_B.device)
        tokens_BN[0, 0] = 0
        return tokens_BN

    def _now(self) -> float:
        return _now(self.labels_B.device)


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The images of a batch of tokens, in 8 bits and on the CPU: what the tokenizer adds to any decoding."""

    tokenizer: Tokenizer
    grid: tuple[int, int]  # height and width of an image in tokens
    batch_size: int
    device: torch.device  # of the tokenizer

    @torch.inference_mode()
    def images(self, count: int | None = None) -> UInt8[Tensor, "B 3 H W"]:
        """Makes so many of the images; None: all."""
        codes = torch.zeros((count or self.batch_size, *self.grid), dtype=torch.int64, device=self.device)
        return to_uint8(self.tokenizer.decode(codes).float()).cpu()

    def lap(self) -> Lap:
        """Makes all of them once."""
        return _lap(self.images, self.device)

    def warm_up(self) -> float:
        """Makes one image, twice; returns how many seconds all of them will take."""
        self.images(1)
        return _lap(lambda: self.images(1), self.device).seconds * self.batch_size


def repeated(once: Callable[[], Lap], repeats: int, enough: float) -> list[Lap]:
    """Several repetitions.

    Args:
        once: does the work.
        repeats: how many there are at most.
        enough: seconds after which none is begun.
    """
    laps: list[Lap] = []
    while len(laps) < repeats and sum(lap.seconds for lap in laps) < enough:
        laps.append(once())
    return laps


def in_parts(parts: Sequence[Decoding]) -> Lap:
    """Parts of a batch, decoded one after the other."""
    laps = [part.lap() for part in parts]
    made = torch.cat([lap.made for lap in laps])
    return Lap(made, sum(lap.seconds for lap in laps), sum(lap.cpu_seconds for lap in laps))


def _lap(work: Callable[[], Tensor], device: torch.device) -> Lap:
    start, cpu_start = _now(device), time.process_time()
    made = work()
    return Lap(made, _now(device) - start, time.process_time() - cpu_start)


def _now(device: torch.device) -> float:
    """The time, once the device has done all that it was given."""
    getattr(torch, device.type).synchronize()
    return time.perf_counter()


def device_name(device: torch.device) -> str:
    """What a device is called: the model of a GPU, or its kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


class _Noting:
    """A model that notes when it is called."""

    def __init__(self, model: Any, now: Callable[[], float]) -> None:
        self.model, self.now, self.starts = model, now, list[float]()
        self.mask_id, self.null_label = model.mask_id, model.null_label

    def __call__(self, tokens_BN: Tensor, labels_B: Tensor) -> Tensor:
        self.starts.append(self.now())
        logits_BNK: Tensor = self.model(tokens_BN, labels_B)
        return logits_BNK


class _NotingCausal(_Noting):
    """The same of a model that predicts one token after the other."""

    def __init__(self, model: Any, now: Callable[[], float]) -> None:
        super().__init__(model, now)
        self.order_N: Tensor = model.order_N

    def next_logits(self, known_Bt: Tensor, labels_B: Tensor, cache: Any = None) -> Tensor:
        self.starts.append(self.now())
        logits_BK: Tensor = self.model.next_logits(known_Bt, labels_B, cache)
        return logits_BK

    def new_cache(self, batch_size: int) -> Any:
        return self.model.new_cache(batch_size)
