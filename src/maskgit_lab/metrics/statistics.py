"""Means and covariances of features, accumulated in pieces, and the Fréchet distance between them.

Shapes: n images, F features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch_fidelity.metric_fid import fid_statistics_to_metric

PIECE = 4096  # rows added at once


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution fitted to features, in float64."""

    mean_F: Float[Tensor, " F"]
    covariance_FF: Float[Tensor, "F F"]


def fit_gaussian(batches: Iterable[Tensor]) -> Gaussian:
    """The mean and the unbiased covariance of batches of features (n, F), without keeping all of them in memory.

    Pieces are merged as in Chan, Golub and LeVeque (1983), which loses no digits, however many there are.

    Raises:
        ValueError: fewer than two rows.
    """
    count, mean_F, squares_FF = 0, torch.zeros(()), torch.zeros(())
    for piece_nF in _pieces(batches):
        rows_nF = piece_nF.double()
        n, own_F = len(rows_nF), rows_nF.mean(dim=0)
        centred_nF, apart_F = rows_nF - own_F, own_F - mean_F
        squares_FF = squares_FF + centred_nF.T @ centred_nF
        squares_FF = squares_FF + torch.outer(apart_F, apart_F) * (count * n / (count + n))
        mean_F = mean_F + apart_F * (n / (count + n))
        count += n
    if count < 2:
        raise ValueError(f"{count} rows have no covariance: give at least 2")
    return Gaussian(mean_F, squares_FF / (count - 1))


def frechet_distance(samples: Gaussian, reference: Gaussian) -> float:
    """Fréchet distance between two normal distributions (Heusel et al. 2017)."""
    both = [{"mu": g.mean_F.numpy(), "sigma": g.covariance_FF.numpy()} for g in (samples, reference)]
    return fid_statistics_to_metric(*both, verbose=False)["frechet_inception_distance"]


def _pieces(batches: Iterable[Tensor]) -> Iterable[Tensor]:
    waiting: list[Tensor] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= PIECE:
            yield torch.cat(waiting)
            waiting = []
    if waiting:
        yield torch.cat(waiting)
