"""Holes: the pixels of a picture that are to be filled, and the tokens that they make unknown.

Shapes: H x W pixels, h x w tokens. True means in the hole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from maskgit_lab.errors import UserError

Spec = str | Sequence[int]  # a name such as `center50`, or a box
NAMED = re.compile(r"(center|left|right|top|bottom)([1-9]\d?)")


def hole_of(spec: Spec, height: int, width: int) -> Bool[Tensor, "H W"]:
    """A hole by its name or its box; see `named_hole` and `box_hole`."""
    if isinstance(spec, str):
        return named_hole(spec, height, width)
    return box_hole(spec, height, width, key="hole")


def hole_name(spec: Spec) -> str:
    """What results call a hole: `center50`, or `[4,0,12,16]`."""
    return spec if isinstance(spec, str) else f"[{','.join(map(str, spec))}]"


def box_hole(box: Sequence[int], height: int, width: int, *, key: str = "box") -> Bool[Tensor, "H W"]:
    """A rectangle.

    Args:
        box: x0, y0, x1, y1 in pixels from the upper left corner; x1 and y1 are exclusive.
        height: of the picture.
        width: of the picture.
        key: the name of the setting in errors.

    Raises:
        UserError: it is not within the picture, or has no area.
    """
    shown = hole_name(box)
    if len(box) != 4 or any(type(edge) is not int for edge in box):
        raise UserError(f"{key}={shown} is not possible: give four whole numbers, [x0,y0,x1,y1]")
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        raise UserError(f"{key}={shown} has no area: give [x0,y0,x1,y1] with x0 below x1 and y0 below y1")
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
        raise UserError(
            f"{key}={shown} leaves the picture, which has {width} x {height} pixels: give x from 0 to {width} and "
            f"y from 0 to {height}"
        )
    hole_HW = torch.zeros(height, width, dtype=torch.bool)
    hole_HW[y0:y1, x0:x1] = True
    return hole_HW


def named_hole(name: str, height: int, width: int) -> Bool[Tensor, "H W"]:
    """A hole in the middle or at a side, such as those of the paper's Table 2.

    Args:
        name: `center50`: the middle half of the width and of the height; `right50`, `left50`, `top50`, `bottom50`: half
            of the picture; any whole percentage from 1 to 99 is possible.
        height: of the picture.
        width: of the picture.

    Raises:
        UserError: there is no such hole, or it has no pixel in a picture of this size.
    """
    found = NAMED.fullmatch(name)
    if found is None:
        raise UserError(
            f"hole={name}: there is no such hole; give center50, left50, right50, top50 or bottom50, with any "
            "percentage from 1 to 99, or a box [x0,y0,x1,y1]"
        )
    place, share = found[1], int(found[2]) / 100
    wide, high = round(width * share), round(height * share)
    boxes = {
        "center": ((width - wide) // 2, (height - high) // 2, (width + wide) // 2, (height + high) // 2),
        "left": (0, 0, wide, height),
        "right": (width - wide, 0, width, height),
        "top": (0, 0, width, high),
        "bottom": (0, height - high, width, height),
    }
    x0, y0, x1, y1 = boxes[place]
    if x0 >= x1 or y0 >= y1:
        raise UserError(f"hole={name} has no pixel in a picture of {width} x {height}: give a larger percentage")
    return box_hole(boxes[place], height, width)


def cells_of(
    hole_HW: Bool[Tensor, "H W"], rows: Sequence[tuple[int, int]], columns: Sequence[tuple[int, int]]
) -> Bool[Tensor, "h w"]:
    """The tokens whose cells touch a hole.

    Args:
        hole_HW: the hole.
        rows: the first pixel of each row of cells, and the one after its last; if cells do not end between pixels,
            neighbours share one.
        columns: the same for each column.
    """
    # Cumulative counts above and to the left: the count in any rectangle is a sum of four of them.
    counts = F.pad(hole_HW.long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    top, bottom = (torch.tensor(edges).clamp(0, hole_HW.shape[0]) for edges in zip(*rows, strict=True))
    left, right = (torch.tensor(edges).clamp(0, hole_HW.shape[1]) for edges in zip(*columns, strict=True))
    below, above = counts[bottom], counts[top]
    return (below[:, right] - below[:, left] - above[:, right] + above[:, left]) > 0


def grown(mask_hw: Bool[Tensor, "h w"], cells: int) -> Bool[Tensor, "h w"]:
    """A hole in the grid, widened by a number of cells in every direction, diagonals included."""
    cells = min(cells, max(mask_hw.shape))
    if cells == 0:
        return mask_hw
    high = F.max_pool2d(mask_hw[None].float(), (2 * cells + 1, 1), stride=1, padding=(cells, 0))
    return F.max_pool2d(high, (1, 2 * cells + 1), stride=1, padding=(0, cells))[0] > 0
