"""Memorisation: the share of samples that lie nearer to a training image than real held-out images do.

A held-out image has a nearest training image too, and how near says what chance and the data alone give: near
duplicates, easy classes. So the yardstick is the distance of held-out images to their nearest training image, as in the
test of data copying of Meehan, Chaudhuri and Dasgupta (2020). A sample counts as memorised where it is nearer than the
nearest `QUANTILE` of the held-out images; of held-out images themselves at most that share is, by definition.

Their statistic is of ranks: the probability that a sample is nearer than a held-out image, 0.5 without copying. It
cannot be the one number here: blurred or broken samples lie far from everything, and a tenth of copies among them
leaves it below 0.5. The share below a low quantile counts copies whatever the others are.

Shapes: n images that are asked about, m training images, F features, N tokens.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from maskgit_lab.metrics.features import Features
from maskgit_lab.metrics.reference import Reference

BLOCK = 1024  # rows whose distances to all others are in memory at once
QUANTILE = 0.01  # of the held-out images, that are the nearest to the training images


def memorised(samples: Features, reference: Reference, choices: object) -> float:
    """The share of samples that are nearer to a training image than real held-out images are, by their features."""
    assert reference.features_nF is not None and reference.near is not None
    return share_nearer(nearest_by_features(samples.features_nF, reference.features_nF), reference.near)


def threshold(held_out_n: Float[Tensor, " n"]) -> float:
    """The distance below which an image is nearer than held-out images are.

    Args:
        held_out_n: distances of held-out images to their nearest training images, at least one.

    Returns:
        The k-th smallest of them with k = n / 100, rounded up: at most 1 % of them are smaller.
    """
    k = max(math.ceil(QUANTILE * len(held_out_n)), 1)
    return float(held_out_n.kthvalue(k).values)


def share_nearer(distances_n: Float[Tensor, " n"], near: float) -> float:
    """The share of distances, in [0, 1], that are smaller than a threshold."""
    return float((distances_n < near).double().mean())


def nearest_by_features(images_nF: Float[Tensor, "n F"], training_mF: Float[Tensor, "m F"]) -> Float[Tensor, " n"]:
    """The Euclidean distance of each image to its nearest training image, in blocks of `BLOCK` rows.

    The nearest is found by products of matrices, which are quick and round, less so around the mean; its distance is
    then measured by differences, so that a copy's is 0.
    """
    found, mean_F = [], training_mF.mean(dim=0)
    centred_mF = training_mF - mean_F
    for block_bF in images_nF.split(BLOCK):
        nearest_bF = training_mF[torch.cdist(block_bF - mean_F, centred_mF).argmin(dim=1)]
        found.append((block_bF - nearest_bF).norm(dim=1))
    return torch.cat(found)


def nearest_by_codes(images_nN: Int[Tensor, "n N"], training_mN: Int[Tensor, "m N"]) -> Float[Tensor, " n"]:
    """The Hamming distance of each grid of codes to its nearest in training, in blocks: tokens that differ, 0 to N."""
    known = training_mN.float()  # exact for codes below 2**24; the zero norm of differences counts those that are not 0
    return torch.cat([torch.cdist(block.float(), known, p=0).amin(dim=1) for block in images_nN.split(BLOCK)])
