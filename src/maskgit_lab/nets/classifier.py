"""Classifiers: a small one for small images, and torchvision's ResNet-50, the paper's classifier for CAS.

Shapes: B images, H x W pixels, F features, C classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from maskgit_lab.sizes import MOST_LAYERS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Classifier(nn.Module, ABC):
    """A network with a linear head on its features."""

    head: nn.Linear

    @abstractmethod
    def features(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B F"]:
        """Features of images in [0, 1], before the head."""

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        """Class logits of images in [0, 1]."""
        return self.head(self.features(images))


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class SmallConvNet(Classifier):
    """Three convolutions with BatchNorm, pooled to 2 x 2, and a linear head.

    Args:
        n_classes: C.
        width: channels of the first convolution, twice as many after it.
        dropout: on the features, in training.

    Raises:
        ValueError: a width below 1, or a dropout outside of [0, 1].
    """

    def __init__(self, n_classes: int, width: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        if width < 1:
            raise ValueError("the classifier needs a width of at least 1")
        self.body = nn.Sequential(
            *_block(3, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 2 * width),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, n_classes)

    def features(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B F"]:
        return self.body(images)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        return self.head(self.dropout(self.features(images)))


class ResNet50(Classifier):
    """torchvision's ResNet of bottleneck blocks, newly initialised (MaskGIT, section 4.2, classification accuracy).

    Args:
        n_classes: C.
        layers: blocks in each of the four stages; (3, 4, 6, 3) makes a ResNet-50.
        small_images: a first convolution of 3 x 3 with stride 1 and no pooling after it, for 32 x 32 and below.

    Raises:
        ValueError: there are not four stages, or one has no block or too many.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, n_classes: int, layers: Sequence[int] = (3, 4, 6, 3), small_images: bool = False) -> None:
        super().__init__()
        if len(layers) != 4 or min(layers) < 1:
            raise ValueError(f"layers={list(layers)}: a ResNet has four stages of at least one block")
        if max(layers) > MOST_LAYERS:
            raise ValueError(f"layers={list(layers)}: a stage has more than {MOST_LAYERS:,} blocks")
        net = ResNet(Bottleneck, list(layers))
        if small_images:
            net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            net.maxpool = nn.Identity()
        self.head = nn.Linear(net.fc.in_features, n_classes)
        net.fc = nn.Identity()
        self.body = net
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def features(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B F"]:
        return self.body((images - self.mean) / self.std)
