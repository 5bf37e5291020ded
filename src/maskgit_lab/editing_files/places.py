"""What the settings of an edit mean in a picture of some size: the hole in it, and the room around it.

Shapes: H x W pixels of the picture.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from maskgit_lab.editing.canvas import Margins
from maskgit_lab.editing.holes import box_hole
from maskgit_lab.errors import UserError
from maskgit_lab.settings import EditConf


def place_in(
    settings: EditConf, mask: Bool[Tensor, "y x"] | None, height: int, width: int
) -> tuple[Bool[Tensor, "H W"], Margins]:
    """The hole in a picture, and the pixels that are added around it.

    Args:
        settings: of the edit.
        mask: the hole that `mask` names, if it names one.
        height: of the picture.
        width: of the picture.

    Raises:
        UserError: the box leaves the picture, the mask has another size, or nothing would be added.
    """
    if mask is not None:
        if mask.shape != (height, width):
            raise UserError(
                f"mask={settings.mask} has {mask.shape[1]} x {mask.shape[0]} pixels and the picture {width} x "
                f"{height}: give a mask of the same size"
            )
        return mask, Margins()
    if settings.box is not None:
        return box_hole(settings.box, height, width), Margins()
    return torch.zeros(height, width, dtype=torch.bool), _margins(settings, height, width)


def _margins(settings: EditConf, height: int, width: int) -> Margins:
    """What `outpaint` adds at each side, or `extrapolate` in equal parts at both."""
    if settings.width is None and settings.height is None:
        given = (settings.left, width), (settings.right, width), (settings.up, height), (settings.down, height)
        margins = Margins(*(round((share or 0) * size) for share, size in given))
    else:
        wide, high = (
            round(size * (times or 1)) - size for times, size in ((settings.width, width), (settings.height, height))
        )
        margins = Margins(wide // 2, wide - wide // 2, high // 2, high - high // 2)
    if not any(margins):
        raise UserError(f"{_named(settings)} adds no pixel to a picture of {width} x {height}: give a larger number")
    return margins


def _named(settings: EditConf) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.where.items())
