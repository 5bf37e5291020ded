"""A window that slides over a grid larger than the model's, until no token is unknown (MaskGIT, section 4.3).

Shapes: H x W tokens of the whole grid, h x w of a window.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from maskgit_lab.editing.holes import grown


class Window(NamedTuple):
    """Where the model looks, and what it adds there."""

    top: int  # rows of tokens above it
    left: int  # columns of tokens left of it
    kept_hw: Bool[Tensor, "h w"]  # unknown tokens that it fills; others that it fills are predicted again later

    def of(self, grid: Tensor) -> Tensor:
        """Its part of a grid (..., H, W)."""
        height, width = self.kept_hw.shape
        return grid[..., self.top : self.top + height, self.left : self.left + width]


def plan_windows(
    unknown_HW: Bool[Tensor, "H W"], height: int, width: int, overlap: float, stride: int | None = None
) -> list[Window]:
    """The windows in order; each knows what the earlier ones have filled.

    Each is placed where it adds the most tokens while a share of `overlap` of its tokens is known; among several such
    places, where the hole is closest to its middle. If no place has that share known, the one with the largest is used.

    Args:
        unknown_HW: the tokens to fill.
        height: of a window, at most that of the grid.
        width: of a window.
        overlap: share of a window's tokens that are known before it is filled, in (0, 1).
        stride: how far from known tokens a window's tokens are kept, which is how far it moves. None: all are kept.
    """
    unknown_HW, windows = unknown_HW.clone(), list[Window]()
    most = height * width - round(overlap * height * width)
    while bool(unknown_HW.any()):
        top, left = _place(unknown_HW, height, width, max(1, most))
        window = Window(top, left, torch.ones(height, width, dtype=torch.bool))
        inside = window.of(unknown_HW)
        near = inside if stride is None or bool(inside.all()) else inside & grown(~inside, stride)
        windows.append(window._replace(kept_hw=near.clone()))
        inside &= ~near  # a view of the grid
    return windows


def _place(unknown_HW: Tensor, height: int, width: int, most: int) -> tuple[int, int]:
    """Where the next window goes."""
    count = _sums(unknown_HW.long(), height, width)
    fits = (count > 0) & (count <= most)
    best = (count == count[fits].max()) & fits if bool(fits.any()) else count == count[count > 0].min()
    tops, lefts = best.nonzero().unbind(1)
    off_centre = _off_centre(unknown_HW, count, height, width)[tops, lefts]
    first = int(off_centre.argmin())  # of equals the first, in reading order
    return int(tops[first]), int(lefts[first])


def _off_centre(unknown_HW: Tensor, count: Int64[Tensor, "y x"], height: int, width: int) -> Float[Tensor, "y x"]:
    """Squared distance in tokens between the middle of a window and that of its unknown tokens, for every place."""
    rows = torch.arange(unknown_HW.shape[0])[:, None]
    columns = torch.arange(unknown_HW.shape[1])[None]
    total = torch.zeros(count.shape, dtype=torch.float64)
    for positions, size, start in (
        (rows.expand_as(unknown_HW), height, torch.arange(count.shape[0])[:, None]),
        (columns.expand_as(unknown_HW), width, torch.arange(count.shape[1])[None]),
    ):
        mean = _sums(positions * unknown_HW, height, width) / count.clamp(min=1)
        total += (mean - (start + (size - 1) / 2)).square()
    return total


def _sums(values_HW: Int64[Tensor, "H W"], height: int, width: int) -> Int64[Tensor, "y x"]:
    """The sum of the values in the window at every place."""
    sums = F.pad(values_HW.cumsum(0).cumsum(1), (1, 0, 1, 0))
    below, above = sums[height:], sums[:-height]
    return below[:, width:] - below[:, :-width] - above[:, width:] + above[:, :-width]
