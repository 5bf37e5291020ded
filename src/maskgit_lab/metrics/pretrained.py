"""Feature extractors with published weights: the Inception network of 2015, and a ResNet-56 for CIFAR-10.

Shapes: n images, F features, C classes.
"""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import Features
from maskgit_lab.nets.resnet_cifar import CifarResNet

INCEPTION_LAYERS = ["2048", "logits_unbiased"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CIFAR_SIZE = 32


class InceptionFeatures:
    """The network of 2015-12-05 as torch-fidelity has it; the only one whose distance is FID.

    Args:
        weights: torch-fidelity's file; None downloads it.
        device: where it runs.

    Raises:
        UserError: the weights cannot be downloaded or read.
    """

    name = "inception"
    knows_classes = False  # its 1,008 outputs are not the classes of the data

    def __init__(self, weights: str | None, device: torch.device) -> None:
        try:
            self.net = FeatureExtractorInceptionV3(
                "inception-v3-compat", INCEPTION_LAYERS, feature_extractor_weights_path=weights
            ).to(device)
        except Exception as error:  # URLError, OSError, RuntimeError, and what torch.load raises for other files
            raise _unusable("inception", weights, error) from error
        self.device = device

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features and class logits of 8-bit images."""
        features_nF, logits_nC = self.net(images.to(self.device))
        return Features(features_nF.cpu(), logits_nC.cpu())


class ResNet56Features:
    """The published ResNet-56 of akamaster/pytorch_resnet_cifar10, for CIFAR-10; the distance is `fd_resnet56_cifar10`.

    Args:
        weights: its file `resnet56-4bfd9763.th`.
        device: where it runs.

    Raises:
        UserError: the weights cannot be read.
    """

    name = "resnet56_cifar10"
    knows_classes = True

    def __init__(self, weights: str | None, device: torch.device) -> None:
        try:
            if weights is None:
                raise FileNotFoundError("no file is named")
            state = torch.load(Path(weights).expanduser(), map_location="cpu", weights_only=True)["state_dict"]
            self.net = CifarResNet()
            self.net.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
        except Exception as error:  # what a damaged file makes torch.load raise is nearly anything
            raise _unusable("resnet56_cifar10", weights, error) from error
        self.net.eval().to(device)
        self.device = device
        self.mean, self.std = (torch.tensor(v, device=device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features and class logits of 8-bit images of 32 x 32.

        Raises:
            UserError: images of another size.
        """
        if images.shape[2:] != (CIFAR_SIZE, CIFAR_SIZE):
            raise UserError(
                f"features=resnet56_cifar10 takes images of 32 x 32 pixels, not {images.shape[2]}: choose others"
            )
        features_nF = self.net.features((images.to(self.device) / 255 - self.mean) / self.std)
        return Features(features_nF.cpu(), self.net.linear(features_nF).cpu())


def _unusable(name: str, weights: str | None, error: Exception) -> UserError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
    if weights is None and isinstance(error, URLError | OSError):
        return UserError(
            f"the weights of features={name} are not here ({reason}): give their file with features.weights=FILE"
        )
    return UserError(
        f"{weights} does not hold the weights of features={name} ({reason}): give their file with features.weights=FILE"
    )
