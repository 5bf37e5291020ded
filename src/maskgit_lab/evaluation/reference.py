"""The real images that samples are compared with, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.code import code_of, targets_in
from maskgit_lab.data.external import ArrayImages, holds_images, open_images
from maskgit_lab.data.shards import Shards
from maskgit_lab.data.source import ImageData, Images
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.batches import extract, image_batches
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.metrics.features import FeatureExtractor, Features
from maskgit_lab.metrics.pretrained import POOL_WIDTH, SPATIAL_WIDTH
from maskgit_lab.metrics.reference import Reference, published_statistics, reference_of
from maskgit_lab.metrics.scores import Choices
from maskgit_lab.metrics.statistics import Gaussian
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf

REFERENCE = "reference.safetensors"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class RealImages:
    """Where a reference comes from."""

    name: str  # what results call it
    images: Images | None  # None for a file that has statistics alone
    fingerprint: str  # of what the images are
    size: tuple[int, int] | None  # height and width in pixels; None where there are no images
    statistics: Path | None = None  # a file that has statistics of more images than it holds, such as ADM's

    def check(self, samples: tuple[int, int], choices: Choices, kept: int | None = None) -> None:
        """Raises a `UserError` if samples of this size cannot be compared with it, or it has too few images.

        Args:
            samples: their height and width in pixels.
            choices: what is computed.
            kept: images of which features are kept, at the most; None: all.
        """
        if self.size is not None and tuple(self.size) != tuple(samples):
            raise UserError(
                f"the reference {self.name} has {self.size[0]} x {self.size[1]} pixels and the samples have "
                f"{samples[0]} x {samples[1]}: give a reference of the same resolution"
            )
        if self.images is not None:
            n = len(self.images)
            choices.check(n)
            if kept is not None and kept < n:
                choices.check(kept, "eval.reference_features")


def real_images(name: str, data: ImageData | None) -> RealImages:
    """The images of `eval.reference`: a split of the data, a folder, or an npz file.

    Raises:
        UserError: there are none.
    """
    if name in SPLITS:
        if data is None:
            raise UserError(
                f"eval.reference={name} needs data: name them with data=NAME, or give a folder or an npz file"
            )
        split = data.splits()[name]
        return RealImages(f"{data.name}-{name}", split, f"{data.fingerprint}-{name}", (data.size, data.size))
    path = Path(name)
    if path.suffix == ".npz" and path.is_file():
        return _of_file(path)
    images = open_images(path, "eval.reference")
    return RealImages(path.name, images, images.fingerprint(), images.size)


def load_or_compute_reference(
    run: Run[CommonConf], real: RealImages, extractor: FeatureExtractor, batch_size: int
) -> Reference:
    """What is kept of the real images by this extractor: computed by all processes, or found in the store.

    Raises:
        UserError: the published statistics are of another network than the extractor.
    """
    most = run.settings.eval.reference_features
    ingredients = {
        "images": real.fingerprint,
        "extractor": [extractor.name, extractor.identity],
        "features": most,
        "code": code_of(__name__, type(extractor).__module__, *targets_in(run.settings.data)),
    }
    pooled, spatial = check_published(real, extractor.name)

    def measure(folder: Path) -> Mapping[str, Any]:
        count = len(real.images) if real.images is not None else 0
        shards = Shards(folder / "parts", count)
        if real.images is not None:
            _extract(run, real.images, real.name, shards, extractor, batch_size)
        if ranks.is_main():
            own = reference_of(_Features(shards), count, most) if count else None
            kept = own if pooled is None else Reference(pooled, own.features_nF if own else None, spatial)
            assert kept is not None
            kept.save(folder / REFERENCE)
            shards.remove()
        return {"name": real.name, "n_images": count}

    entry = run.store.obtain("reference", ingredients, measure)
    if entry.reused:
        run.console.note("reference", f"found in the cache: {entry.path}")
    return Reference.load(entry.path / REFERENCE)


class _Features:
    """The features in shards, read again each time they are gone through."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards

    def __iter__(self) -> Iterator[Features]:
        return (Features(**shard) for shard in self.shards)


def _extract(
    run: Run[CommonConf], images: Images, name: str, shards: Shards, extractor: FeatureExtractor, batch_size: int
) -> None:
    def make(batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        return (extract(extractor, batch).named() for batch in image_batches(run, images, batches))

    with run.console.stage("reference", f"features of {len(images):,} real images, {name}"):
        missing = shards.missing(batch_size)
        with run.console.bar("reference", -(-sum(map(len, missing)) // ranks.world_size()), "images/s") as advance:
            shards.fill(missing, make, advance)


def _of_file(path: Path) -> RealImages:
    pooled, _ = published_statistics(path)
    images = ArrayImages(path) if pooled is None or holds_images(path) else None
    size = images.size if images is not None else None
    return RealImages(path.name, images, file_sha256(path), size, path if pooled is not None else None)


def check_published(real: RealImages, extractor: str) -> tuple[Gaussian | None, Gaussian | None]:
    """The statistics that a file brings with it, where they are of an extractor of this name.

    Raises:
        UserError: there are no images, and the statistics are of another network.
    """
    if real.statistics is None or not extractor.startswith("inception"):
        if real.images is None:
            raise UserError(
                f"the reference {real.name} has only statistics of the Inception network: give features=inception"
            )
        return None, None
    pooled, spatial = published_statistics(real.statistics)
    for found, width, what in ((pooled, POOL_WIDTH, "mu"), (spatial, SPATIAL_WIDTH, "mu_s")):
        if found is not None and len(found.mean_F) != width:
            raise UserError(
                f"the reference {real.name} has {what} of {len(found.mean_F)} values and the Inception network has "
                f"{width} features: give a file in ADM's form"
            )
    return pooled, spatial
