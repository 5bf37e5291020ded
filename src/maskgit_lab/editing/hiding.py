"""What the tokenizer sees instead of hidden pixels: it looks beyond a cell, so they would leak into known tokens.

Shapes: H x W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from scipy import ndimage
from torch import Tensor

from maskgit_lab.errors import UserError

HIDE = ("edge", "mean", "none")


def hidden(pictures: UInt8[Tensor, "B 3 H W"], hole_HW: Bool[Tensor, "H W"], how: str) -> UInt8[Tensor, "B 3 H W"]:
    """Pictures without what is in a hole.

    Args:
        pictures: all of the same size.
        hole_HW: the hole.
        how: `edge` gives each hidden pixel the colour of the nearest known pixel, `mean` the mean colour of all known
            pixels, and `none` hides nothing.

    Raises:
        UserError: no pixel is known.
    """
    if how == "none" or not bool(hole_HW.any()):
        return pictures
    if bool(hole_HW.all()):
        raise UserError("the hole is the whole picture, so that nothing of it is known: give a smaller one")
    if how == "mean":
        known = pictures[:, :, ~hole_HW].double().mean(dim=2).round().to(torch.uint8)
        return torch.where(hole_HW, known[:, :, None, None], pictures)
    rows, columns = ndimage.distance_transform_edt(hole_HW.numpy(), return_distances=False, return_indices=True)
    return pictures[:, :, torch.from_numpy(rows.astype(np.int64)), torch.from_numpy(columns.astype(np.int64))]
