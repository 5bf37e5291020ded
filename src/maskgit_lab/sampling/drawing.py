"""Grids of images as PNG files.

Shapes: R rows, C columns, H x W pixels, h x w tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from maskgit_lab.data.external import OVERVIEW

MASK_GREY, WHITE = 150, 255
CELL = 0.55  # inches that an image takes across


def draw_grid(
    images: UInt8[Tensor, "R C 3 H W"],
    path: Path,
    *,
    title: str,
    row_names: Sequence[str],
    column_names: Sequence[str] = (),
) -> None:
    """Draws a grid of images with names beside its rows and over its columns."""
    n_rows, n_columns, _, height, width = images.shape
    gap = max(1, width // 8)
    down, across = height + gap, width + gap
    framed = torch.full((n_rows, n_columns, 3, down, across), WHITE, dtype=torch.uint8)
    framed[..., :height, :width] = images
    figure = Figure(figsize=(n_columns * CELL + 1.3, n_rows * CELL * down / across + 0.7), dpi=120, layout="compressed")
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes = figure.subplots()
    axes.imshow(_tiled(framed)[:-gap, :-gap], interpolation="nearest")  # one picture: axes for each image are slow
    axes.set_yticks([(r + 0.5) * down - gap for r in range(len(row_names))], row_names, fontsize=8, parse_math=False)
    axes.set_xticks([(c + 0.5) * across - gap for c in range(len(column_names))], column_names, fontsize=8)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    figure.savefig(path, metadata=OVERVIEW)


def draw_tiles(images: UInt8[Tensor, "R C 3 H W"], path: Path) -> None:
    """Draws images edge to edge, a pixel for a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_tiled(images)).save(path)


def _tiled(images: UInt8[Tensor, "R C 3 H W"]) -> UInt8[np.ndarray, "RH CW 3"]:
    rows, columns, _, height, width = images.shape
    return images.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 3).contiguous().numpy()


def cover_masked(images: UInt8[Tensor, "R 3 H W"], mask: Bool[Tensor, "R h w"]) -> UInt8[Tensor, "R 3 H W"]:
    """The images with the cells of masked tokens painted grey."""
    scale = images.shape[-1] // mask.shape[-1]
    pixels = mask.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)
    return images.masked_fill(pixels[:, None], MASK_GREY)
