"""Drawing: grids of images and the curve of the metrics over T, as PNG.

Shapes: R rows, C columns, H x W pixels, h x w tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from maskgit_lab.ablation.results import Row
from maskgit_lab.metrics.names import distance_name

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MASK_GREY = 150

# One panel each: its title, and the metrics it shows with their names.
PANELS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Inception score", {"inception_score": "IS"}),
    ("Classification accuracy", {"cas_top1": "CAS", "sample_accuracy": "samples recognised", "cas_real_top1": "real"}),
    ("Precision and recall", {"precision": "precision", "recall": "recall"}),
)


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
    figure.savefig(path)


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


def draw_curve(rows: Sequence[Row], path: Path, title: str) -> None:
    """Draws the metrics of one run over the number of decoding steps T."""
    ordered = sorted(rows, key=lambda row: row["steps"])
    distances = {distance_name(name): f"{name} features" for row in rows if (name := row.get("features"))}
    panels = [("Fréchet distance (lower is better)", distances), *PANELS]
    panels = [(name, metrics) for name, metrics in panels if any(key in row for row in rows for key in metrics)]
    figure = Figure(figsize=(3.4 * len(panels), 3.2), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=10, parse_math=False)
    for axes, (name, metrics) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_panel(axes, name, metrics, ordered)
    figure.savefig(path)


def _draw_panel(axes: Axes, name: str, metrics: dict[str, str], ordered: Sequence[Row]) -> None:
    for colour, (key, label) in zip(COLOURS, metrics.items(), strict=False):
        points = [(row["steps"], row[key]) for row in ordered if key in row]
        if points:
            style = "--" if key.startswith("cas_real") else "o-"
            axes.plot(*zip(*points, strict=True), style, color=colour, label=label, markersize=4)
    steps = [row["steps"] for row in ordered]
    axes.set_xscale("log", base=2)
    axes.set_xticks(steps, [str(t) for t in steps], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("decoding steps T", fontsize=9)
    axes.set_title(name, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
