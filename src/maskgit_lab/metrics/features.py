"""Features of images, from which all metrics are computed.

Shapes: n images, F features, C classes, S spatial features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from maskgit_lab.nets.classifier import Classifier


class Features(NamedTuple):
    """The output of a feature extractor, on the CPU; None for what it does not compute."""

    features_nF: Float[Tensor, "n F"]
    logits_nC: Float[Tensor, "n C"] | None = None
    spatial_nS: Float[Tensor, "n S"] | None = None

    def named(self) -> dict[str, Tensor]:
        """What was computed, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@runtime_checkable
class FeatureExtractor(Protocol):
    """A fixed network; distances between its features carry its name."""

    name: str
    identity: str  # of its weights; stored features depend on it
    classes_of: str | None  # the dataset whose classes its logits predict, if it is one of the suite's

    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features of 8-bit images, and class logits and spatial features where it has them."""
        ...


class ClassifierFeatures:
    """Features of a classifier trained on the dataset itself; the distance is `fd_classifier`, never FID.

    Args:
        net: the classifier, on the device where it runs.
        identity: of its weights.
        data: the name of the dataset.
        centre: what it was tested on, of images (n, 3, H, W) in [0, 1]; None: all of it.
    """

    name = "classifier"

    def __init__(
        self, net: Classifier, identity: str, data: str, centre: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.net = net.eval()
        self.centre = centre
        self.identity = identity
        self.classes_of: str | None = data

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features and class logits of 8-bit images."""
        pixels = images.to(self.net.head.weight.device).float() / 255
        features_nF = self.net.features(pixels if self.centre is None else self.centre(pixels))
        return Features(features_nF.cpu(), self.net.head(features_nF).cpu())
