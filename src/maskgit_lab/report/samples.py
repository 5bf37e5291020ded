"""Sample grids for the report: one for each schedule at its best T, small enough for all to fit into one page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.words import label
from maskgit_lab.runs.results import GRIDS

ALL_BYTES = 2_000_000  # of all grids of a page together
SIZES = (1024, 768, 512, 384, 256)  # pixels of the longer side, until it fits
LARGE = 480  # pixels; smaller pictures are shown with visible pixels, and kept without loss if they can be


@dataclass(frozen=True)
class Picture:
    """A picture of samples, made to fit."""

    schedule: str  # that made the samples, or the baseline
    caption: str  # what they are
    form: str  # png or webp
    content: bytes  # the bytes
    size: tuple[int, int]  # width and height in pixels

    @property
    def is_small(self) -> bool:
        """Whether single pixels should be visible."""
        return max(self.size) <= LARGE

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return f"data:image/{self.form};base64,{base64.b64encode(self.content).decode()}"


def sample_pictures(every: Sequence[Group]) -> list[list[Picture]]:
    """For each study its sample grids in the paper's order, and for each baseline its own; all of them together fit
    into one page.
    """
    found = [_grids(group) if isinstance(group, Study) else _first_grid(group) for group in every]
    allowed = ALL_BYTES // max(sum(map(len, found)), 1)
    return [
        [Picture(name, text, *encoded) for name, text, path in grids if (encoded := encode(path, allowed))]
        for grids in found
    ]


def encode(path: Path, allowed: int) -> tuple[str, bytes, tuple[int, int]] | None:
    """Form, bytes and size of a picture, made small enough for a number of bytes; None if it cannot be read."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    if max(image.size) <= LARGE and len(content := _bytes(image, "PNG", optimize=True)) <= allowed:
        return "png", content, image.size
    for size in SIZES:
        copy = image.copy()
        copy.thumbnail((size, size), Image.Resampling.LANCZOS)
        content = _bytes(copy, "WEBP", quality=80, method=3)
        if len(content) <= allowed:
            break
    return "webp", content, copy.size


def _grids(study: Study) -> list[tuple[str, str, Path]]:
    """Schedule, caption and file; of several seeds the first with a grid, those that are compared before others."""
    found = []
    for curve in comparison(study).compared:
        best = [p for p in study.main if p.schedule == curve.schedule and p.steps == curve.best_steps]
        compared_first = sorted(best, key=lambda p: (p.seeds not in curve.seeds, p.seeds, p.draw))
        ordered = [(p.draw.seed, *source) for p in compared_first for source in p.sources]
        grids = [(seed, path) for seed, run, row in ordered if (path := run.grid(row)) is not None]
        for seed, path in grids[:1]:
            is_own = path.parent.name == GRIDS
            about = f"T = {curve.best_steps}, seed {seed}" if is_own else "the run's own samples, T as in its title"
            found.append((curve.schedule, f"{label(curve.schedule)}, {about}", path))
    return found


def _first_grid(group: Group) -> list[tuple[str, str, Path]]:
    """Name, caption and file; of several seeds the first with a grid."""
    name = group.name if isinstance(group, Baseline) else ""
    ordered = sorted(group.points, key=lambda point: (point.seeds, point.draw))
    sources = [(point.draw.seed, *source) for point in ordered for source in point.sources]
    grids = [(seed, path) for seed, run, row in sources if (path := run.grid(row)) is not None]
    return [(name, f"{name}, seed {seed}", path) for seed, path in grids[:1]]


def _bytes(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
