"""What is stored of real images, so that samples can be compared with them.

Shapes: n images, F features, S spatial features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.metrics.features import Features
from maskgit_lab.metrics.statistics import Gaussian, fit_gaussian
from maskgit_lab.nets.files import write_arrays

ROUNDING = 1e-5  # of statistics stored in float32, relative to their largest value
ADM_POOL, ADM_SPATIAL = ("mu", "sigma"), ("mu_s", "sigma_s")  # in ADM's reference files


@dataclass(frozen=True)
class Reference:
    """Statistics of real images by one extractor."""

    gaussian: Gaussian  # fitted to the features of all images
    # Features of some images, for precision, recall and KID; None if there are only statistics.
    features_nF: Float[Tensor, "n F"] | None
    spatial: Gaussian | None = None  # fitted to the spatial features, if the extractor has any
    # The distance below which an image is nearer to these images than held-out ones are, where these are the training
    # images; see `memorisation.threshold`. It is not saved, since it is of other images.
    near: float | None = None

    def save(self, path: Path) -> None:
        """Writes it as safetensors."""
        arrays = {"mean": self.gaussian.mean_F, "covariance": self.gaussian.covariance_FF}
        if self.features_nF is not None:
            arrays["features"] = self.features_nF
        if self.spatial is not None:
            arrays |= {"spatial_mean": self.spatial.mean_F, "spatial_covariance": self.spatial.covariance_FF}
        write_arrays(arrays, path)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Reads what `save` wrote."""
        arrays = load_file(path)
        spatial = None
        if "spatial_mean" in arrays:
            spatial = Gaussian(arrays["spatial_mean"], arrays["spatial_covariance"])
        return cls(Gaussian(arrays["mean"], arrays["covariance"]), arrays.get("features"), spatial)


def reference_of(parts: Iterable[Features], n_images: int, most_features: int) -> Reference:
    """The reference statistics of images whose features come in parts.

    Args:
        parts: in the order of the images; iterated over three times, so that only one has to be in memory.
        n_images: the number of images.
        most_features: features of at most this many images are kept, spread evenly over all.

    Raises:
        ValueError: fewer than two images.
    """
    kept = torch.linspace(0, n_images - 1, min(n_images, most_features)).round().long().unique()
    chosen, start = [], 0
    for part in parts:
        rows = kept[(kept >= start) & (kept < start + len(part.features_nF))] - start
        chosen.append(part.features_nF[rows])
        start += len(part.features_nF)
    spatial = all(part.spatial_nS is not None for part in parts)
    return Reference(
        gaussian=fit_gaussian(part.features_nF for part in parts),
        features_nF=torch.cat(chosen),
        spatial=fit_gaussian(part.spatial_nS for part in parts if part.spatial_nS is not None) if spatial else None,
    )


def published_statistics(path: Path) -> tuple[Gaussian | None, Gaussian | None]:
    """The pooled and the spatial statistics of all images in an ADM reference file; None where it has none.

    Raises:
        UserError: the file is damaged, or its statistics are not valid.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            pooled, spatial = (
                _gaussian(*(file[name] for name in names)) if set(names) <= set(file.files) else None
                for names in (ADM_POOL, ADM_SPATIAL)
            )
    except Exception as error:  # numpy and zipfile raise almost anything on a damaged file
        raise UserError(f"{path} is not a valid .npz file ({first_line(error)}): give another") from error
    return pooled, spatial


def _gaussian(mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ValueError(f"statistics of shapes {mean.shape} and {covariance.shape}")
    if not all(np.issubdtype(array.dtype, np.floating) for array in (mean, covariance)):
        raise ValueError(f"statistics of types {mean.dtype} and {covariance.dtype}")
    mean_F, covariance_FF = (torch.from_numpy(array.astype(np.float64)) for array in (mean, covariance))
    if not (mean_F.isfinite().all() and covariance_FF.isfinite().all()):
        raise ValueError("statistics that contain NaN or infinite values")
    _check_covariance(covariance_FF)
    return Gaussian(mean_F, covariance_FF)


def _check_covariance(covariance_FF: Tensor) -> None:
    scale = float(covariance_FF.abs().max())
    if not torch.allclose(covariance_FF, covariance_FF.T, rtol=0, atol=ROUNDING * scale):
        raise ValueError("a covariance that is not symmetric")
    if float(torch.linalg.eigvalsh(covariance_FF)[0]) < -ROUNDING * scale * len(covariance_FF):
        raise ValueError("a covariance with negative variances")
