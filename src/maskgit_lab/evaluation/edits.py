"""Edits of held-out images as a source of images, and their floor: the tokenizer's own reconstruction in the same hole.

Shapes: B images of a batch, n of all, H x W pixels, F features, C classes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from maskgit_lab import ranks
from maskgit_lab.data.shards import Shards
from maskgit_lab.data.source import Images, some_images
from maskgit_lab.editing.editor import Editor
from maskgit_lab.editing.options import Options
from maskgit_lab.evaluation.batches import extract, image_batches
from maskgit_lab.evaluation.floors import Floor, modules_of
from maskgit_lab.evaluation.reference import RealImages, load_or_compute_reference
from maskgit_lab.evaluation.scorer import Scorer
from maskgit_lab.evaluation.sources import Made
from maskgit_lab.evaluation.spread import spread_evenly
from maskgit_lab.metrics.editing import feature_distances, mean_over_pairs, psnr, squared_errors
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.metrics.scores import finite
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.objectives.perceptual import LPIPS
from maskgit_lab.runs.results import HOLE, PASTED, TASK, group_of
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.drawing import MASK_GREY
from maskgit_lab.sampling.memory import in_parts_that_fit
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import CommonConf
from maskgit_lab.settings.editing import CLASS_EDIT

EDITS = 6  # the stream of seeds that edits draw from
GAP = 1  # pixels around each image in a picture of some
ERRORS, DISTANCES, DIVERSITY = "squared_errors", "lpips", "diversity"  # arrays with a value an image


@dataclass(frozen=True)
class Edit:
    """What is edited in every image, and how."""

    task: str
    name: str  # of the hole
    hole_HW: Bool[Tensor, "H W"]
    options: Options
    cell: int  # pixels of a token, which is the seam by default

    @property
    def settings(self) -> dict[str, Any]:
        """As a row of results has them."""
        options = self.options
        how = {"hide": options.hide, "grow": options.grow, "blend": options.blend}
        own = {**how, "seam": options.seam_for(self.cell)}
        return {TASK: self.task, HOLE: self.name, **own}


@dataclass(frozen=True)
class Comparison:
    """Compares images with the originals that they were made from, and with each other."""

    originals: RealImages  # held-out images, in the order of their edits
    scorer: Scorer  # whose first extractor gives the features
    lpips: LPIPS | None  # on the device where it runs
    weights: str  # of its network; "" without it
    keeps_content: bool  # whether an edit shall show what the original shows
    known: dict[str, Tensor] = field(default_factory=dict)  # the features of the originals, once they are loaded

    @property
    def settings(self) -> dict[str, Any]:
        """What a row was measured with."""
        return {"lpips_weights": self.weights} if self.lpips is not None else {}

    def load(self, run: Run[CommonConf]) -> None:
        """Computes the features of the originals, or finds them in the store; every process calls this."""
        if self.keeps_content and not self.known:
            real, conf = self.originals, run.settings.eval
            features_nF = load_or_compute_reference(run, real, self.scorer.extractor, conf.batch_size).features_nF
            assert features_nF is not None
            self.known["features"] = features_nF

    def arrays(self, edited: UInt8[Tensor, "B 3 H W"], originals: Tensor, edit: Edit) -> dict[str, Tensor]:
        """What is kept of a batch, a value an image."""
        if not self.keeps_content:
            return {}
        errors = {ERRORS: squared_errors(edited, originals, edit.hole_HW)}
        return errors | ({DISTANCES: self.perceived(edited, originals)} if self.lpips is not None else {})

    def scores(self, shards: Shards, edit: Edit) -> dict[str, float]:
        """How close all edits are to their originals."""
        if not self.keeps_content:
            return {}
        scores = {"psnr": psnr(shards.array(ERRORS), edit.hole_HW)}
        if self.lpips is not None:
            scores["lpips"] = float(shards.array(DISTANCES).double().mean())
        if len(self.known["features"]) == shards.count:
            edited_nF = self.scorer.features(shards, self.scorer.extractor).features_nF
            scores["feature_distance"] = float(feature_distances(edited_nF, self.known["features"]).mean())
        return scores

    def perceived(self, one: UInt8[Tensor, "B 3 H W"], other: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
        """LPIPS between two images each."""
        assert self.lpips is not None
        net, device = self.lpips.lpips, next(self.lpips.parameters()).device

        @torch.inference_mode()
        def measure(rows: range) -> Tensor:
            pair = (images[rows.start : rows.stop].to(device) / 255 for images in (one, other))
            distances: Tensor = net(*pair, normalize=True)  # from [0, 1] to [-1, 1]
            return distances.float().flatten().cpu()

        return torch.cat(in_parts_that_fit(measure, range(len(one))))


@dataclass(frozen=True, kw_only=True)
class Edited(Made):
    """Held-out images that a trained model has edited; of several variants of an image, the first is measured."""

    chosen: Images  # the originals
    fingerprint: str  # of their data
    edit: Edit
    variants: int
    use_labels: bool
    comparison: Comparison

    @cached_property
    def settings(self) -> dict[str, Any]:
        how = {**self.edit.settings, "variants": self.variants, "use_labels": self.use_labels}
        return {**super().settings, "samples_fingerprint": self.fingerprint, **how, **self.comparison.settings}

    @property
    def editor(self) -> Editor:
        """Edits at the T of the pipeline."""
        return Editor(self.pipeline, self.edit.options)

    @property
    def logged(self) -> str:  # type: ignore[override]
        return f"{group_of([self.edit.settings])}_T{self.steps}"

    def prepare(self, run: Run[CommonConf]) -> None:
        self.comparison.load(run)

    def batches(self, run: Run[CommonConf], batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        for batch, originals in zip(batches, image_batches(run, self.chosen, batches), strict=True):
            start = time.perf_counter()
            variants = [self.variant(k, batch, originals) for k in range(self.variants)]
            seconds = torch.full((len(batch),), (time.perf_counter() - start) / len(batch), dtype=torch.float64)
            first, *others = variants
            kept = {f"variant{k}": self._features(images) for k, images in enumerate(others, 1)}
            if others and self.comparison.lpips is not None:
                kept[DIVERSITY] = mean_over_pairs(variants, self.comparison.perceived)
            yield {"images": first, "seconds": seconds, **kept, **self.comparison.arrays(first, originals, self.edit)}

    def variant(self, k: int, images: Sequence[int], originals: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
        """The k-th variant of some images, by their numbers: the same in any batch and in any process."""
        further = (self.repeat,) if self.repeat else ()
        seeds = [mix_seeds(self.seed, EDITS, self.steps, i, k, *further) for i in images]
        labels = self.labels[list(images)]
        given = labels if self.use_labels else torch.full_like(labels, self.pipeline.null_label)
        return self.editor.edit(originals, self.edit.hole_HW, given, seeds, batch_size=len(seeds)).pixels

    def scores(self, shards: Shards) -> dict[str, float]:
        seconds = float(shards.array("seconds").sum())  # of all processes
        scores = self.comparison.scores(shards, self.edit)
        if self.variants > 1:
            features = [self.comparison.scorer.features(shards, self.comparison.scorer.extractor).features_nF]
            features += [shards.array(f"variant{k}") for k in range(1, self.variants)]
            scores["feature_diversity"] = float(mean_over_pairs(features, feature_distances).mean())
            if self.comparison.lpips is not None:
                scores["diversity"] = float(shards.array(DIVERSITY).mean())
        return finite(scores | {"images_per_second": ranks.world_size() * self.variants * len(self) / seconds})

    def picture(self, shards: Shards, run: Run[CommonConf]) -> Tensor | None:
        """Some of the originals, spread evenly, each with its hole in grey and its variants beside it."""
        if self.repeat:
            return None
        count = min(run.settings.eval.picture_classes, len(self))
        images = spread_evenly(len(self), count)
        originals = to_uint8(some_images(self.chosen.subset(images), count))
        holes = originals.masked_fill(self.edit.hole_HW, MASK_GREY)
        variants = [self.variant(k, images, originals) for k in range(self.variants)]
        return F.pad(torch.stack([originals, holes, *variants], dim=1), (GAP, GAP, GAP, GAP), value=MASK_GREY)

    def _features(self, images: Tensor) -> Tensor:
        return extract(self.comparison.scorer.extractor, images).features_nF


@dataclass(frozen=True, kw_only=True)
class Pasted(Floor):
    """The tokenizer's reconstruction of each image in the same hole: the floor of every transformer on its codes."""

    editor: Editor
    edit: Edit
    comparison: Comparison

    kind = PASTED
    keeps_more = True

    @cached_property
    def settings(self) -> dict[str, Any]:
        tokenizer = self.editor.pipeline.tokenizer
        assert isinstance(tokenizer, nn.Module)
        own = {"tokenizer": weights_digest(tokenizer), **self.edit.settings, **self.comparison.settings}
        return {**super().settings, **own}

    @property
    def modules(self) -> Sequence[str]:
        return [*modules_of(self.editor.pipeline.tokenizer), __name__]

    def prepare(self, run: Run[CommonConf]) -> None:
        self.comparison.load(run)

    def batches(self, run: Run[CommonConf], batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        for batch, originals in zip(batches, image_batches(run, self.chosen, batches), strict=True):
            pasted = self.editor.pasted(originals, self.edit.hole_HW, len(batch))
            yield {"images": pasted, **self.comparison.arrays(pasted, originals, self.edit)}

    def scores(self, shards: Shards) -> dict[str, float]:
        return finite(self.comparison.scores(shards, self.edit))


def new_labels(task: str, own_n: Int64[Tensor, " n"], n_classes: int) -> Int64[Tensor, " n"]:
    """The class that each image shall show: its own, or for class edits the others in turn."""
    if task != CLASS_EDIT:
        return own_n
    return (own_n + 1 + torch.arange(len(own_n)) % (n_classes - 1)) % n_classes
