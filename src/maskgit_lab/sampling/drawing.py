"""Grids of images as PNG files.

Shapes: R rows, C columns, H x W pixels, h x w tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from maskgit_lab.data.external import OVERVIEW

MASK_GREY = 150


def draw_grid(
    images: UInt8[Tensor, "R C 3 H W"],
    path: Path,
    *,
    title: str,
    row_names: Sequence[str],
    column_names: Sequence[str] = (),
) -> None:
    """Draws a grid of images with names beside its rows and over its columns."""
    n_rows, n_columns = images.shape[:2]
    cell = 0.55
    figure = Figure(figsize=(n_columns * cell + 1.3, n_rows * cell + 0.7), dpi=120, layout="compressed")
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes: Any = figure.subplots(n_rows, n_columns, squeeze=False)
    for r, c in np.ndindex(n_rows, n_columns):
        axes[r, c].imshow(images[r, c].permute(1, 2, 0).numpy(), interpolation="nearest")
        axes[r, c].set(xticks=[], yticks=[])
        axes[r, c].spines[:].set_visible(False)
    for r, name in enumerate(row_names):
        axes[r, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8, parse_math=False)
    for c, name in enumerate(column_names):
        axes[0, c].set_title(name, fontsize=8)
    figure.savefig(path, metadata=OVERVIEW)


def draw_tiles(images: UInt8[Tensor, "R C 3 H W"], path: Path) -> None:
    """Draws images edge to edge, a pixel for a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns, _, height, width = images.shape
    tiles = images.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 3)
    Image.fromarray(tiles.contiguous().numpy()).save(path)


def cover_masked(images: UInt8[Tensor, "R 3 H W"], mask: Bool[Tensor, "R h w"]) -> UInt8[Tensor, "R 3 H W"]:
    """The images with the cells of masked tokens painted grey."""
    scale = images.shape[-1] // mask.shape[-1]
    pixels = mask.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)
    return images.masked_fill(pixels[:, None], MASK_GREY)
