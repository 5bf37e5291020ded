"""How close edited images are to the originals, and how different several edits of one image are.

Shapes: B and n images, H x W pixels, F features, V variants of each image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor

PairDistance = Callable[[Tensor, Tensor], Tensor]
LARGEST = 255  # of an 8-bit pixel


def squared_errors(
    edited: UInt8[Tensor, "B 3 H W"], originals: UInt8[Tensor, "B 3 H W"], hole: Bool[Tensor, "H W"]
) -> Float64[Tensor, " B"]:
    """The squared error of each image, summed over the pixels of the hole and their three channels."""
    apart = edited[:, :, hole].double() - originals[:, :, hole].double()
    return apart.square().sum(dim=(1, 2))


def psnr(squared_errors_n: Float64[Tensor, " n"], hole: Bool[Tensor, "H W"]) -> float:
    """The peak signal-to-noise ratio over the hole of all images, in dB; infinite where nothing differs.

    It is that of the mean squared error over all images, not the mean of theirs: a single image that is equal to its
    original would make that infinite.
    """
    mean = float(squared_errors_n.mean()) / (3 * int(hole.sum()))
    return math.inf if mean == 0 else 10 * math.log10(LARGEST**2 / mean)


def feature_distances(one: Float[Tensor, "n F"], other: Float[Tensor, "n F"]) -> Float64[Tensor, " n"]:
    """The Euclidean distance between the features of two images, each scaled to length 1: from 0 to 2.

    It stands in for LPIPS where there are no weights of its network: one level of one network that need not know of
    what people see, without the trained weights of its channels.
    """
    return (_unit(one) - _unit(other)).norm(dim=1)


def mean_over_pairs(variants: Sequence[Tensor], distance: PairDistance) -> Float64[Tensor, " n"]:
    """The mean distance between two of the variants of each image, over all pairs of them.

    Args:
        variants: V tensors with a row an image.
        distance: of two such tensors, one value an image.
    """
    pairs = [distance(one, other).double() for one, other in combinations(variants, 2)]
    return torch.stack(pairs).mean(dim=0)


def _unit(features: Tensor) -> Tensor:
    lengths = features.double().norm(dim=1, keepdim=True)
    return features.double() / lengths.clamp(min=torch.finfo(torch.float64).tiny)
