"""The perceptual loss: distance between features of a pretrained classifier (Johnson et al. 2016; MaskGIT, appendix).

Shapes: B images, H x W pixels.
"""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision import models

from maskgit_lab.errors import UserError
from maskgit_lab.nets.classifier import IMAGENET_MEAN, IMAGENET_STD

VGG16_TAPS = (3, 8, 15, 22, 29)  # the last ReLU of each of VGG16's five blocks
RANDOM = "random"
RESNET50_TAPS = ("layer1", "layer2", "layer3", "layer4")


class PerceptualLoss(nn.Module):
    """Mean squared difference of channel-normalised features, averaged over the network's levels.

    Args:
        network: `vgg16` or `resnet50`, as torchvision defines them.
        weights: a torchvision state dict; None downloads torchvision's ImageNet weights; `random` draws random
            ones, which cost as much and teach nothing.

    Raises:
        UserError: an unknown network, or weights that cannot be downloaded, read or loaded.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: str = "vgg16", weights: str | None = None) -> None:
        super().__init__()
        if network not in ("vgg16", "resnet50"):
            raise UserError(f"tokenizer.perceptual={network} is unknown: choose vgg16, resnet50 or none")
        self.levels = _levels(_pretrained(network, weights))
        self.requires_grad_(False).eval()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Stays in evaluation mode: its weights and its BatchNorm are fixed."""
        return super().train(False)

    def forward(self, images: Float[Tensor, "B 3 H W"], targets: Float[Tensor, "B 3 H W"]) -> Float[Tensor, ""]:
        """The distance between images in [0, 1]; it is 0 where they are equal."""
        x, y = (images - self.mean) / self.std, (targets - self.mean) / self.std
        total = images.new_zeros(())
        for level in self.levels:
            x, y = level(x), level(y)
            total = total + F.mse_loss(F.normalize(x, dim=1), F.normalize(y, dim=1))
        return total / len(self.levels)


def _levels(network: nn.Module) -> nn.ModuleList:
    """The network cut into pieces, each of which outputs one level of features."""
    if isinstance(network, models.VGG):
        bounds = [0, *(tap + 1 for tap in VGG16_TAPS)]
        return nn.ModuleList(network.features[a:b] for a, b in pairwise(bounds))
    assert isinstance(network, models.ResNet)
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    blocks = [getattr(network, name) for name in RESNET50_TAPS]
    return nn.ModuleList([nn.Sequential(stem, blocks[0]), *blocks[1:]])


def _pretrained(network: str, weights: str | None) -> nn.Module:
    try:
        if weights is None:
            return models.get_model(network, weights="IMAGENET1K_V1")
        model = models.get_model(network)
        if weights == RANDOM:
            return model
        model.load_state_dict(torch.load(Path(weights).expanduser(), map_location="cpu", weights_only=True))
        return model
    except (URLError, OSError) as error:
        source = "downloaded" if weights is None else f"read from {weights}"
        raise UserError(
            f"torchvision's weights of {network} cannot be {source} ({error}): give their file with "
            f"tokenizer.perceptual_weights=FILE, or switch the loss off with tokenizer.perceptual=none"
        ) from error
    except (RuntimeError, AttributeError, TypeError, pickle.UnpicklingError, EOFError) as error:
        raise UserError(f"{weights} does not hold torchvision's weights of {network}: give their state dict") from error
