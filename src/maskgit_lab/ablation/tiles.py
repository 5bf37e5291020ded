"""Sample grids for the report: one for each schedule at its best T, small enough for all to fit into one page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from maskgit_lab.ablation.curves import curves, distance_of
from maskgit_lab.ablation.studies import Study
from maskgit_lab.ablation.styles import spoken

ALL_BYTES = 2_000_000  # of all grids of a page together
SIZES = (1024, 768, 512, 384, 256)  # pixels of the longer side, until it fits
LARGE = 480  # pixels; smaller pictures are shown with visible pixels, and kept without loss if they can be


@dataclass(frozen=True)
class Tile:
    """A picture of samples.

    Args:
        schedule: that made them.
        caption: what they are.
        path: of the whole picture.
    """

    schedule: str
    caption: str
    path: Path


@dataclass(frozen=True)
class Encoded:
    """A picture's bytes.

    Args:
        form: png or webp.
        content: the bytes.
        size: width and height in pixels.
    """

    form: str
    content: bytes
    size: tuple[int, int]

    @property
    def is_small(self) -> bool:
        """Whether its pixels are to be seen."""
        return max(self.size) <= LARGE


def tiles(study: Study) -> list[Tile]:
    """The grids that are there, in the paper's order; of several seeds, the first that has one."""
    made = []
    for curve in curves(study.main, distance_of(study)):
        best = [p for p in study.main if p.row["schedule"] == curve.schedule and p.row["steps"] == curve.best_steps]
        ordered = sorted(best, key=lambda point: point.repeat[1])
        found = next(((point, grid) for point in ordered if (grid := point.grid) is not None), None)
        if found is not None:
            point, grid = found
            own = grid.parent.name == "grids"
            about = (
                f"T = {curve.best_steps}, seed {point.repeat[1]}" if own else "the run's own samples, T as in its title"
            )
            made.append(Tile(curve.schedule, f"{spoken(curve.schedule)}, {about}", grid))
    return made


def encode(path: Path, n_pictures: int) -> Encoded | None:
    """A picture, made small enough for as many to fit into a page; None if it cannot be read."""
    allowed = ALL_BYTES // max(n_pictures, 1)
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    made = _lossless(image) if max(image.size) <= LARGE else None
    if made is not None and len(made.content) <= allowed:
        return made
    return _smallest(image, allowed)


def _smallest(image: Image.Image, allowed: int, sizes: Sequence[int] = SIZES) -> Encoded:
    for size in sizes:
        copy = image.copy()
        copy.thumbnail((size, size), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        copy.save(file, "WEBP", quality=80, method=3)
        if len(file.getvalue()) <= allowed:
            break
    return Encoded("webp", file.getvalue(), copy.size)


def _lossless(image: Image.Image) -> Encoded:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return Encoded("png", file.getvalue(), image.size)
