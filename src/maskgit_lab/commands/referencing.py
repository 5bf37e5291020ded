"""The real images that samples are compared with, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.commands.extracting import batches_of
from maskgit_lab.commands.job import Bench
from maskgit_lab.commands.parts import Parts
from maskgit_lab.data.external import ArrayImages, holds_images, open_images
from maskgit_lab.data.source import ImageData, Images
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import code_version, file_sha256
from maskgit_lab.metrics.features import FeatureExtractor, Features, to_uint8
from maskgit_lab.metrics.pretrained import POOL_WIDTH, SPATIAL_WIDTH
from maskgit_lab.metrics.reference import Reference, published_statistics, reference_of
from maskgit_lab.metrics.scores import Choices
from maskgit_lab.metrics.statistics import Gaussian

REFERENCE = "reference.safetensors"
REFERENCE_MODULES = (
    *("maskgit_lab.metrics.features", "maskgit_lab.metrics.pretrained", "maskgit_lab.metrics.statistics"),
    *("maskgit_lab.metrics.reference", "maskgit_lab.nets.resnet_cifar", "maskgit_lab.data.external"),
)
SPLITS = ("train", "test")


@dataclass(frozen=True)
class RealImages:
    """Where a reference comes from.

    Args:
        name: what results call it.
        images: None for a file that has statistics alone.
        fingerprint: of what the images are.
        size: height and width in pixels; None where there are no images.
        statistics: a file that has statistics of more images than it holds, such as ADM's.
    """

    name: str
    images: Images | None
    fingerprint: str
    size: tuple[int, int] | None
    statistics: Path | None = None


def real_images(name: str, data: ImageData | None) -> RealImages:
    """The images of `reference=`: a split of the data, a folder, or an npz file.

    Raises:
        UserError: there are none.
    """
    if name in SPLITS:
        if data is None:
            raise UserError(f"reference={name} needs data: name them with data=NAME, or give a folder or an npz file")
        split = data.splits()[name]
        return RealImages(f"{data.name}-{name}", split, f"{data.fingerprint}-{name}", (data.size, data.size))
    path = Path(name).expanduser()
    if path.suffix == ".npz" and path.is_file():
        return _of_file(path)
    loose = open_images(path, "reference")
    return RealImages(path.name, loose, loose.fingerprint(), loose.size)


def _of_file(path: Path) -> RealImages:
    pooled, _ = published_statistics(path)
    loose = ArrayImages(path) if pooled is None or holds_images(path) else None
    size = loose.size if loose is not None else None
    return RealImages(path.name, loose, file_sha256(path), size, path if pooled is not None else None)


def check_same_size(samples: tuple[int, int], reference: RealImages) -> None:
    """Raises a `UserError` if samples and reference differ in resolution."""
    if reference.size is not None and tuple(reference.size) != tuple(samples):
        raise UserError(
            f"the reference {reference.name} has {reference.size[0]} x {reference.size[1]} pixels and the samples have "
            f"{samples[0]} x {samples[1]}: give a reference of the same resolution"
        )


def check_enough(choices: Choices, real: RealImages) -> None:
    """Raises a `UserError` if the reference has too few images for the metrics."""
    if real.images is not None:
        choices.check(len(real.images))


def obtain_reference(bench: Bench, real: RealImages, extractor: FeatureExtractor, batch_size: int) -> Reference:
    """What is kept of the real images by this extractor: computed by all processes, or found in the store.

    Raises:
        UserError: the published statistics are of another network than the extractor.
    """
    most = bench.cfg.eval.reference_features
    ingredients = {
        "images": real.fingerprint,
        "extractor": [extractor.name, extractor.identity],
        "features": most,
        "code": code_version(*REFERENCE_MODULES),
    }

    pooled, spatial = _published(real, extractor)

    def measure(folder: Path) -> Mapping[str, Any]:
        parts = Parts(folder / "parts", len(real.images) if real.images is not None else 0)
        if real.images is not None:
            _extract(bench, real.images, real.name, parts, extractor, batch_size)
        if ranks.is_main():
            own = reference_of(_Features(parts), parts.count, most) if parts.count else None
            kept = own if pooled is None else Reference(pooled, own.features_nF if own else None, spatial)
            assert kept is not None
            kept.save(folder / REFERENCE)
            parts.remove()
        return {"name": real.name, "n_images": parts.count}

    entry = bench.store.obtain("reference", ingredients, measure)
    if entry.reused:
        bench.terminal.note("reference", f"found in the cache: {entry.path}")
    return Reference.load(entry.path / REFERENCE)


class _Features:
    """The features in parts, read again each time they are gone through."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[Features]:
        return (Features(**part) for part in self.parts)


def _extract(
    bench: Bench, images: Images, name: str, parts: Parts, extractor: FeatureExtractor, batch_size: int
) -> None:
    def make(batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        return (extractor(to_uint8(batch)).named() for batch in batches_of(bench, images, batches))

    with bench.terminal.stage("reference", f"features of {len(images):,} real images, {name}"):
        parts.fill(batch_size, make, bench.terminal, "reference")


def _published(real: RealImages, extractor: FeatureExtractor) -> tuple[Gaussian | None, Gaussian | None]:
    """The statistics that a file brings with it, where they are of this extractor."""
    if real.statistics is None or not extractor.name.startswith("inception"):
        if real.images is None:
            raise UserError(
                f"the reference {real.name} has statistics of the Inception network alone: take features=inception"
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
