"""Floors: what a perfect model could reach. Held-out real images and the tokenizer's reconstructions of them, measured
against the same reference, on as many images, by the same loop as samples, and kept in the store for all runs.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maskgit_lab import ranks
from maskgit_lab.code import code_of, targets_in
from maskgit_lab.data.shards import Shards
from maskgit_lab.data.source import ImageData, Images
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.batches import float_batches, image_batches
from maskgit_lab.evaluation.reference import RealImages
from maskgit_lab.evaluation.scorer import Scorer, choices_of
from maskgit_lab.evaluation.sources import Source
from maskgit_lab.evaluation.spread import spread_evenly
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.runs.results import FLOORS, HELD_OUT, RECONSTRUCTIONS
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.memory import in_parts_that_fit
from maskgit_lab.settings import CommonConf
from maskgit_lab.tokenizers.base import Tokenizer

SCORES = "scores.json"


@dataclass(frozen=True)
class Floor(Source):
    """Real images that no model has seen, as they are or rebuilt."""

    data: ImageData  # whose held-out split they are of
    chosen: Images  # those of it that are measured

    kind = ""  # the setting `source` in a row

    @property
    def name(self) -> str:  # type: ignore[override]
        return FLOORS[self.kind]

    @property
    def size(self) -> tuple[int, int]:
        return self.data.size, self.data.size

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {"source": self.kind, "data": self.data.name, "samples_fingerprint": self.data.fingerprint[:12]}

    @cached_property
    def identity(self) -> dict[str, Any]:
        return {**self.settings, "n": len(self)}

    @property
    def classes(self) -> Tensor:
        return self.chosen.labels

    def __len__(self) -> int:
        return len(self.chosen)

    def images(self, shards: Shards) -> Images | None:
        return None

    @property
    @abstractmethod
    def modules(self) -> Sequence[str]:
        """The modules of the networks that make them."""


@dataclass(frozen=True)
class HeldOut(Floor):
    """Held-out images as they are: the floor of every model of the data."""

    kind = HELD_OUT
    modules = ()

    def batches(self, run: Run[CommonConf], batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        return ({"images": images} for images in image_batches(run, self.chosen, batches))


@dataclass(frozen=True)
class Reconstructions(Floor):
    """What a tokenizer makes of the same images: the floor of every transformer on its codes."""

    tokenizer: Tokenizer

    kind = RECONSTRUCTIONS

    @cached_property
    def settings(self) -> dict[str, Any]:
        assert isinstance(self.tokenizer, nn.Module)
        return {**super().settings, "tokenizer": weights_digest(self.tokenizer)}

    @property
    def modules(self) -> Sequence[str]:
        return modules_of(self.tokenizer)

    def batches(self, run: Run[CommonConf], batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        return (self._rebuilt(images, run.device) for images in float_batches(run, self.chosen, batches))

    def _rebuilt(self, images: Tensor, device: torch.device) -> dict[str, Tensor]:
        """A batch that does not fit the memory of a GPU is halved."""

        def rebuild(rows: range) -> tuple[Tensor, Tensor]:
            codes = self.tokenizer.encode(images[rows.start : rows.stop].to(device))
            return to_uint8(self.tokenizer.decode(codes).cpu()), codes.cpu().int()

        pixels, tokens = zip(*in_parts_that_fit(rebuild, range(len(images))), strict=True)
        return {"images": torch.cat(pixels), "tokens": torch.cat(tokens)}


def modules_of(tokenizer: Tokenizer) -> list[str]:
    """The modules of a tokenizer and of its network."""
    return [type(made).__module__ for made in (tokenizer, getattr(tokenizer, "net", tokenizer))]


def floors_of(
    run: Run[CommonConf],
    data: ImageData | None,
    real: RealImages,
    size: tuple[int, int],
    n_samples: int,
    tokenizer: Tokenizer | None = None,
) -> list[Floor]:
    """The floors beside samples; a note says why, where there are none.

    Args:
        run: its settings define what is measured.
        data: the real images, if they are read.
        real: the images of the reference.
        size: of the samples.
        n_samples: of the samples: as many images are taken, or all held-out ones where there are fewer.
        tokenizer: of the model; None for images of other origin.
    """
    scored = Scorer.computed(run.settings.eval.metrics)
    if not scored or (data is None and run.home is None):
        return []
    if why := _hindrance(run, data, size, n_samples):
        run.console.note(FLOORS[HELD_OUT], f"left out: {why}")
        return []
    assert data is not None
    chosen = held_out(data, n_samples)
    rebuilt = [Reconstructions(data, chosen, tokenizer)] if tokenizer is not None else []
    if real.fingerprint == f"{data.fingerprint}-test":
        run.console.note(
            FLOORS[HELD_OUT], "left out: with eval.reference=test the held-out images are the reference itself"
        )
        return list(rebuilt)
    return [HeldOut(data, chosen), *rebuilt]


def held_out(data: ImageData, count: int | None) -> Images:
    """So many held-out images, spread evenly, or all of them where there are fewer; None: all."""
    return data.test.subset(spread_evenly(len(data.test), count))


def _hindrance(run: Run[CommonConf], data: ImageData | None, size: tuple[int, int], n_samples: int) -> str:
    """Why there are no floors; "" where there are."""
    if data is None:
        return "the run's images are not read for this reference; data=NAME and its settings have them read"
    if size != (data.size, data.size):
        return f"the samples have {size[0]} x {size[1]} pixels and the data {data.size} x {data.size}"
    try:
        choices_of(run.settings.eval).check(min(n_samples, len(data.test)))
    except UserError as error:
        return str(error)
    return ""


def load_or_measure_floor(
    run: Run[CommonConf],
    floor: Floor,
    scorer: Scorer,
    metrics: Sequence[str],
    measure: Callable[[Floor, Shards], Mapping[str, Any]],
) -> dict[str, Any]:
    """What a floor's images reach, measured by all processes or found in the store; every process calls this.

    It does not depend on the model, so that the runs of a sweep measure it once.

    Args:
        run: on whose hardware it is measured.
        floor: the images.
        scorer: of the samples.
        metrics: that are measured.
        measure: measures the images, whose features go into shards.
    """
    networks = [*(type(extractor).__module__ for extractor in scorer.extractors), *floor.modules]
    ingredients = {
        "source": floor.identity,
        "data": floor.data.fingerprint,
        "extractors": [[extractor.name, extractor.identity] for extractor in scorer.extractors],
        "metrics": sorted(metrics),
        "measured_with": scorer.settings(),
        "code": code_of("maskgit_lab.evaluation.curve", *networks, *targets_in(run.settings.data)),
    }

    def measure_in(folder: Path) -> Mapping[str, Any]:
        shards = Shards(folder / "parts", len(floor))
        found = measure(floor, shards)
        if ranks.is_main():
            (folder / SCORES).write_text(json.dumps(found), encoding="utf-8")
            shards.remove()
        ranks.barrier()
        return found

    return dict(run.store.obtain("floor", ingredients, measure_in).about)
