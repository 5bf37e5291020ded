"""Reference statistics of real images, and ADM's files."""

import numpy as np
import pytest
import torch

from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import Features
from maskgit_lab.metrics.reference import Reference, published_statistics, reference_of
from maskgit_lab.metrics.statistics import fit_gaussian, frechet_distance


def parts(n=30, size=7, spatial=True):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, 4, generator=generator), torch.randn(n, 3, generator=generator)
    return x, y, [Features(a, None, b if spatial else None) for a, b in zip(x.split(size), y.split(size), strict=True)]


@pytest.mark.parametrize("spatial", [True, False])
def test_a_saved_reference_is_loaded_unchanged(tmp_path, spatial):
    x, y, all_parts = parts(spatial=spatial)
    reference_of(all_parts, 30, 100).save(tmp_path / "r.safetensors")
    again = Reference.load(tmp_path / "r.safetensors")
    assert torch.equal(again.features_nF, x) and torch.equal(again.gaussian.mean_F, x.double().mean(dim=0))
    assert (again.spatial is not None) == spatial
    if again.spatial is not None:
        assert torch.equal(again.spatial.covariance_FF, fit_gaussian([y]).covariance_FF)


def test_keeps_statistics_of_all_images_and_features_of_some_spread_over_all():
    x, _, all_parts = parts()
    some = reference_of(all_parts, 30, 4)
    assert torch.equal(some.features_nF, x[[0, 10, 19, 29]])
    assert torch.equal(some.gaussian.mean_F, x.double().mean(dim=0))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_adm_statistics_give_the_distance_of_their_images(tmp_path, dtype):
    x, y, _ = parts(200)
    samples = fit_gaussian([x * 1.5 + 0.3])
    mu, sigma = x.double().numpy().mean(axis=0).astype(dtype), np.cov(x.double().numpy(), rowvar=False)
    mu_s, sigma_s = y.numpy().mean(axis=0), np.cov(y.numpy(), rowvar=False)
    np.savez(tmp_path / "adm.npz", mu=mu, sigma=sigma, mu_s=mu_s, sigma_s=sigma_s, arr_0=np.zeros((2, 4, 4, 3)))
    pooled, spatial = published_statistics(tmp_path / "adm.npz")
    assert frechet_distance(samples, pooled) == pytest.approx(frechet_distance(samples, fit_gaussian([x])), rel=1e-6)
    assert torch.allclose(spatial.covariance_FF, fit_gaussian([y]).covariance_FF)


def test_a_file_without_statistics_has_none(tmp_path):
    np.savez(tmp_path / "a.npz", arr_0=np.zeros(3), mu=np.zeros(3))
    assert published_statistics(tmp_path / "a.npz") == (None, None)


@pytest.mark.parametrize(
    "arrays",
    [
        {"mu": np.zeros(3), "sigma": np.zeros((2, 2))},
        {"mu": np.full(2, np.nan), "sigma": np.zeros((2, 2))},
        {"mu": np.array([{}, {}]), "sigma": np.zeros((2, 2))},
        {"mu": np.zeros(2), "sigma": -np.eye(2)},
        {"mu": np.zeros(2), "sigma": np.array([[1.0, 0.5], [0.1, 1.0]])},
        {"mu": np.zeros(2, np.complex128), "sigma": np.eye(2)},
        {"mu": np.array(["a", "b"]), "sigma": np.eye(2)},
    ],
)
def test_impossible_statistics_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=r"not a valid \.npz file"):
        published_statistics(tmp_path / "a.npz")


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UserError, match=r"not a valid \.npz file"):
        published_statistics(tmp_path / "a.npz")
