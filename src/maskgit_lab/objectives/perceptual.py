"""Perceptual losses: distances between features of a pretrained classifier (Johnson et al. 2016; Zhang et al. 2018).

Shapes: B images, H x W pixels.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from urllib.error import URLError

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision import models

from maskgit_lab.errors import UserError
from maskgit_lab.nets.classifier import IMAGENET_MEAN, IMAGENET_STD
from maskgit_lab.paths import path_of

RANDOM = "random"
SIZE = 224  # pixels of the images that ResNet-50 was trained on
FILES = {"resnet50": "ResNet50_Weights.IMAGENET1K_V1", "vgg16": "VGG16_Weights.IMAGENET1K_V1"}
NO_WEIGHTS = (RuntimeError, LookupError, AttributeError, TypeError, pickle.UnpicklingError, EOFError)


class _Fixed(nn.Module):
    """A distance between images in [0, 1] whose network is never trained."""

    def train(self, mode: bool = True) -> _Fixed:
        """Stays in evaluation mode: its weights and its BatchNorm are fixed."""
        return super().train(False)


class ResNet50Loss(_Fixed):
    """Mean squared difference of ResNet-50's last feature map (2048 x 7 x 7, before pooling), which is not normalised.

    It follows google-research/magvit, the successor of MaskGIT's release: images are resized to 224 x 224 (bilinear,
    antialiased), and the mean is over all images, channels and positions. Unlike there, images are normalised as
    torchvision's weights require, and torchvision's ResNet has a ReLU after its first convolution.

    Args:
        weights: a torchvision state dict; None downloads torchvision's ImageNet weights (`IMAGENET1K_V1`); `random`
            draws random ones, which cost as much and teach nothing.

    Raises:
        UserError: weights that cannot be downloaded, read or loaded.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        net = models.resnet50()
        _load("resnet50", weights, net.load_state_dict)
        stem = (net.conv1, net.bn1, net.relu, net.maxpool)
        self.features = nn.Sequential(*stem, net.layer1, net.layer2, net.layer3, net.layer4)
        self.requires_grad_(False).eval()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, images: Float[Tensor, "B 3 H W"], targets: Float[Tensor, "B 3 H W"]) -> Float[Tensor, ""]:
        """The distance between images in [0, 1]; it is 0 where they are equal."""
        return F.mse_loss(self._features(images), self._features(targets))

    def _features(self, images: Tensor) -> Tensor:
        resized = F.interpolate(images.float(), (SIZE, SIZE), mode="bilinear", antialias=True)
        features: Tensor = self.features((resized - self.mean) / self.std)
        return features.float()


class LPIPS(_Fixed):
    """LPIPS 0.1 on VGG16 (Zhang et al. 2018), as torchmetrics computes it, averaged over images of their own size.

    The linear layers on top of each level come with torchmetrics, whatever the weights of the network.

    Args:
        weights: a torchvision state dict of VGG16; None downloads torchvision's ImageNet weights; `random` draws
            random ones, which cost as much and teach little.

    Raises:
        UserError: weights that cannot be downloaded, read or loaded.
    """

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        # Not torchmetrics' metric: it downloads its network, and refuses reconstructions that leave [0, 1].
        self.lpips = _LPIPS(net="vgg", pnet_rand=True)
        net = self.lpips.net

        def fill(state: Mapping[str, Tensor]) -> object:
            """Its layers are torchvision's, cut into slices: `slice2.5.weight` is `features.5.weight`."""
            return net.load_state_dict({n: state[f"features.{n.partition('.')[2]}"] for n in net.state_dict()})

        _load("vgg16", weights, fill)
        self.requires_grad_(False).eval()

    def forward(self, images: Float[Tensor, "B 3 H W"], targets: Float[Tensor, "B 3 H W"]) -> Float[Tensor, ""]:
        """The distance between images in [0, 1]; it is 0 where they are equal."""
        distances: Tensor = self.lpips(images.float(), targets.float(), normalize=True)  # from [0, 1] to [-1, 1]
        return distances.float().mean()


def _load(network: str, weights: str | None, fill: Callable[[Mapping[str, Tensor]], object]) -> None:
    """Fills a network with torchvision's weights, unless they are to be random."""
    if weights == RANDOM:
        return
    source = "downloaded" if weights is None else f"read from {weights}"
    try:
        fill(_state_dict(network, weights))
    except (URLError, OSError) as error:
        raise UserError(
            f"torchvision's weights of {network} cannot be {source} ({error}): give their file with "
            f"tokenizer.perceptual_weights=FILE, or switch the loss off with tokenizer/perceptual=none"
        ) from error
    except NO_WEIGHTS as error:
        file = "the download" if weights is None else weights
        raise UserError(f"{file} does not hold torchvision's weights of {network}: give their state dict") from error


def _state_dict(network: str, weights: str | None) -> Mapping[str, Tensor]:
    if weights is None:
        downloaded: Mapping[str, Tensor] = models.get_weight(FILES[network]).get_state_dict(check_hash=True)
        return downloaded
    path = path_of(weights, "tokenizer.perceptual_weights")
    read: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return read
