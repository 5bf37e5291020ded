"""Where images that are measured come from: a trained model, or files. The evaluation treats all alike.

Shapes: n images, H x W pixels.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.data.external import ExternalImages
from maskgit_lab.data.shards import ShardImages, Shards
from maskgit_lab.data.source import Images
from maskgit_lab.evaluation.batches import image_batches
from maskgit_lab.evaluation.spread import spread_evenly
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.runs.results import PURPOSE, REPEAT
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.loading import Trained
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import CommonConf

M = TypeVar("M", bound="Made")
SAMPLES = 1  # the stream of seeds that samples draw from
CHOICE = "choice"  # the purpose of samples by which a setting is chosen
STREAMS = {None: SAMPLES, CHOICE: 16}  # by the purpose of samples: no two purposes share a seed


class Source(ABC):
    """Images to be measured."""

    name: str  # what the console calls them
    is_of_model = False  # whether a trained model makes them: they can be saved, and are logged
    repeat = 0  # which of several draws with the same settings
    # Whether something of each image is kept besides its features, which `scores` needs.
    keeps_more = False
    logged: str | None = None  # what loggers call their picture; None: they are not given it

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Their settings, as a row of results has them."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What they depend on."""

    @property
    @abstractmethod
    def classes(self) -> Tensor | None:
        """The class of each, (n,) int64, if they have classes."""

    @abstractmethod
    def __len__(self) -> int:
        """n."""

    @abstractmethod
    def batches(self, run: Run[CommonConf], batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        """For each batch of numbers, 8-bit `images` (B, 3, H, W) and what is kept beside their features."""

    @abstractmethod
    def images(self, shards: Shards) -> Images | None:
        """All images with their classes, read back from the files that they came from; None: they have to be kept."""

    def prepare(self, run: Run[CommonConf]) -> None:  # noqa: B027 (most need nothing)
        """Loads what all batches need; every process calls this before the first of them."""

    def scores(self, shards: Shards) -> dict[str, float]:
        """What is known from making them, such as the speed."""
        return {}

    def picture(self, shards: Shards, run: Run[CommonConf]) -> Tensor | None:
        """Some of them, 8-bit (R, C, 3, H, W), as a reader of the results wants to see them; None: none."""
        return None


@dataclass(frozen=True)
class Made(Source):
    """Images that a trained model makes."""

    trained: Trained  # the model, with its decoder
    weights: str  # a hash of its weights
    labels: Tensor  # the class of each image
    seed: int  # of the images
    data: str | None = None  # the name of the data that it was trained on, if that is known
    checkpoint: str | None = None  # the name of its checkpoint, where that is not the last of its run
    repeat: int = 0  # which of several draws with the same settings; see `eval.repeats`

    is_of_model = True
    keeps_more = True

    def at(self: M, steps: int) -> M:
        """The images at another T."""
        return replace(self, trained=replace(self.trained, pipeline=self.pipeline.at(steps)))

    def again(self: M, repeat: int) -> M:
        """Another draw of the same images: for the same classes, with other random numbers."""
        return replace(self, repeat=repeat)

    @property
    def pipeline(self) -> Pipeline:
        """Makes the images."""
        return self.trained.pipeline

    @property
    def steps(self) -> int:
        """T; N for a decoder without one."""
        return int(self.pipeline.decoder.settings.get("steps", self.pipeline.model.n_tokens))

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"T = {self.steps}" + (f" (repeat {self.repeat})" if self.repeat else "")

    @property
    def size(self) -> tuple[int, int]:
        return self.pipeline.size

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {
            "model": self.weights,
            **self._of_training,
            **self.pipeline.decoder.settings,
            **({} if self.pipeline.is_autoregressive else {"steps": self.steps}),
            "seed": self.seed,
            "labels": fingerprint({"labels": self.labels.tolist()}),
            **({"data": self.data} if self.data is not None else {}),
            **({"checkpoint": self.checkpoint} if self.checkpoint is not None else {}),
            **({REPEAT: self.repeat} if self.repeat else {}),
        }

    @property
    def _of_training(self) -> dict[str, Any]:
        """What the model was trained with: a schedule, or an order of the tokens."""
        return {"order" if self.pipeline.is_autoregressive else "schedule": self.trained.trained_with}

    @property
    def identity(self) -> dict[str, Any]:
        return self.settings

    @property
    def classes(self) -> Tensor:
        return self.labels

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, shards: Shards) -> Images | None:
        kept = "images" in next(iter(shards), {})
        return ShardImages(shards.paths(), self.labels) if kept else None


@dataclass(frozen=True)
class Generated(Made):
    """Samples of a trained model."""

    purpose: str | None = None  # None: to be reported

    @property
    def name(self) -> str:  # type: ignore[override]
        at = "" if self.purpose is None else f" at {self._temperature:g}"
        of = "autoregressive" if self.pipeline.is_autoregressive else f"T = {self.steps}{at}"
        return of + (f" (repeat {self.repeat})" if self.repeat else "")

    @property
    def _temperature(self) -> float:
        """Of the choice, which samples drawn to choose it have."""
        return float(self.pipeline.decoder.settings["choice_temperature"])

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {**super().settings, **({PURPOSE: self.purpose} if self.purpose is not None else {})}

    def batches(self, run: Run[CommonConf], batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        for batch in batches:
            start = time.perf_counter()
            # A seed for each sample: it is the same image in any batch and in any process.
            further = (self.repeat,) if self.repeat else ()
            seeds = [mix_seeds(self.seed, STREAMS[self.purpose], self.steps, i, *further) for i in batch]
            labels = self.labels[batch.start : batch.stop]
            made = self.pipeline.sample(labels, seeds, batch_size=len(batch))
            seconds = torch.full((len(batch),), (time.perf_counter() - start) / len(batch), dtype=torch.float64)
            yield {"images": made.pixels, "tokens": made.tokens.int(), "seconds": seconds}

    def scores(self, shards: Shards) -> dict[str, float]:
        # The throughput of sampling: with the first step shared within a class, the tokenizer's decoder, the transfer
        # to the CPU, and the warm-up of the first batch. `runtime.py` measures decoding alone.
        seconds = float(shards.array("seconds").sum())  # of all processes
        return {"images_per_second": ranks.world_size() * len(self) / seconds}

    def picture(self, shards: Shards, run: Run[CommonConf]) -> Tensor | None:
        """Samples of the first classes, as many of each."""
        if self.repeat:
            return None
        conf, tokens_nN = run.settings.eval, shards.array("tokens")
        classes, counts = self.labels.unique(return_counts=True)
        columns = min(conf.picture_columns, int(counts[: conf.picture_classes].min()))
        chosen = [(self.labels == c).nonzero()[:columns, 0] for c in classes[: conf.picture_classes]]
        return torch.stack([self.pipeline.pixels(tokens_nN[indices].long()) for indices in chosen])


@dataclass(frozen=True)
class External(Source):
    """Images of a folder or an npz file, from any generator."""

    opened: ExternalImages  # all images
    chosen: Images  # those of them that are measured

    @classmethod
    def choose(cls, opened: ExternalImages, count: int | None) -> External:
        """So many images, spread evenly; None: all."""
        if count is None or count >= len(opened):
            return cls(opened, opened)
        return cls(opened, opened.subset(spread_evenly(len(opened), count)))

    name = "samples"

    @property
    def size(self) -> tuple[int, int]:
        return self.opened.size

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {"samples": self.opened.title, "samples_fingerprint": self.opened.fingerprint()[:12]}

    @cached_property
    def identity(self) -> dict[str, Any]:
        return {**self.settings, "n": len(self.chosen)}

    @property
    def classes(self) -> Tensor | None:
        return None if self.opened.classes is None else self.chosen.labels

    def __len__(self) -> int:
        return len(self.chosen)

    def batches(self, run: Run[CommonConf], batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        return ({"images": images} for images in image_batches(run, self.chosen, batches))

    def images(self, shards: Shards) -> Images:
        return self.chosen
