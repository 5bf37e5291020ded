"""Blends a generated image into the hole of a picture; beyond the seam, the picture's own pixels are unchanged.

Shapes: H x W pixels.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from maskgit_lab.errors import UserError
from maskgit_lab.metrics.pixels import to_uint8

BLEND = ("blur", "poisson")
MOST_SOLVED = 2**19  # most pixels of a hole for the linear system: about ten seconds and 1.5 GB
NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def soft_mask(hole_HW: Bool[Tensor, "H W"], seam: int) -> Float[Tensor, "H W"]:
    """The weight of the generated image in each pixel: 1 in the hole, falling to 0 over `seam` pixels around it.

    It falls with the Euclidean distance from the hole, as half a cosine. It is 1 everywhere inside the hole, so that
    nothing that is hidden there reappears.
    """
    if not bool(hole_HW.any()):
        return torch.zeros(hole_HW.shape)
    distance = torch.from_numpy(ndimage.distance_transform_edt(~hole_HW.numpy())).float()
    return (0.5 + 0.5 * torch.cos(math.pi * distance / (seam + 1))).masked_fill(distance > seam, 0.0)


def blended(
    picture: UInt8[Tensor, "3 H W"],
    made: UInt8[Tensor, "3 H W"],
    hole_HW: Bool[Tensor, "H W"],
    how: str,
    seam: int,
) -> UInt8[Tensor, "3 H W"]:
    """A picture with another one in its hole.

    Args:
        picture: used outside the hole.
        made: the generated image, used in the hole.
        hole_HW: the hole.
        how: `blur` mixes both over the seam, which lies outside the hole; `poisson` shifts the colours of the generated
            image so that they match the picture at the border of the hole, and keeps its gradients
            (Pérez et al. 2003): it has no seam.
        seam: width for `blur`, in pixels.

    Raises:
        UserError: the hole is too large for `poisson`.
    """
    if how == "poisson":
        return torch.where(hole_HW, _matched(picture, made, hole_HW), picture)
    share_HW = soft_mask(hole_HW, seam)
    mixed = to_uint8((share_HW * made.float() + (1 - share_HW) * picture.float()) / 255)
    return torch.where(share_HW == 0, picture, torch.where(share_HW == 1, made, mixed))


def _matched(picture: Tensor, made: Tensor, hole_HW: Tensor) -> Tensor:
    """The generated image plus a correction that is harmonic in the hole and equals the difference at its border.

    At the border of the picture there is nothing to match, so the correction is flat there. Pixels that are not
    connected to a known one are left unchanged. OpenCV's `seamlessClone` is not used: it reads pixels of the hole, and
    changes pixels outside it.
    """
    hole = hole_HW.numpy()
    if (n := int(hole.sum())) > MOST_SOLVED:
        raise UserError(
            f"blend=poisson solves an equation for each of the {n:,} pixels of the hole, and {MOST_SOLVED:,} are "
            "possible: choose blend=blur"
        )
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(n)
    difference = (picture.double() - made.double()).numpy()
    degree, right = np.zeros(n), np.zeros((n, 3))
    entries: list[tuple[np.ndarray, np.ndarray]] = []
    ys, xs = np.nonzero(hole)
    for dy, dx in NEIGHBOURS:
        y, x = ys + dy, xs + dx
        there = (y >= 0) & (y < hole.shape[0]) & (x >= 0) & (x < hole.shape[1])
        degree += there
        inside = np.flatnonzero(there)[hole[y[there], x[there]]]
        border = np.flatnonzero(there)[~hole[y[there], x[there]]]
        entries.append((inside, number[y[inside], x[inside]]))
        right[border] += difference[:, y[border], x[border]].T
    row, column = (np.concatenate(part) for part in zip(*entries, strict=True))
    # A hole without any border has no correction: the small weight makes it 0 there, and changes nothing elsewhere.
    diagonal = sparse.diags(degree + 1e-9)
    laplacian = diagonal - sparse.coo_matrix((np.ones(len(row)), (row, column)), shape=(n, n))
    correction = splu(laplacian.tocsc()).solve(right)
    moved = made.double()
    moved[:, hole_HW] += torch.from_numpy(correction).T
    return to_uint8(moved / 255)
