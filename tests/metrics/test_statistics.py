"""Means and covariances accumulated in pieces."""

import numpy as np
import pytest
import torch

from maskgit_lab.metrics import statistics
from maskgit_lab.metrics.statistics import fit_gaussian


def rows(n, seed=0, shift=1000.0):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)).double() + shift


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_pieces_of_any_size_give_numpys_mean_and_covariance(monkeypatch, piece):
    monkeypatch.setattr(statistics, "PIECE", piece)
    x = rows(53)
    fitted = fit_gaussian(x.split(10))
    assert torch.allclose(fitted.mean_F, torch.from_numpy(x.numpy().mean(axis=0)), rtol=1e-14, atol=0)
    assert np.allclose(fitted.covariance_FF.numpy(), np.cov(x.numpy(), rowvar=False), rtol=1e-9)


def test_batches_make_no_difference():
    x = rows(50)
    one, many = fit_gaussian([x]), fit_gaussian(x.split(3))
    assert torch.equal(one.mean_F, many.mean_F) and torch.equal(one.covariance_FF, many.covariance_FF)


def test_a_single_row_has_no_covariance():
    with pytest.raises(ValueError, match="at least 2"):
        fit_gaussian([rows(1)])
