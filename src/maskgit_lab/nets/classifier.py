"""A small convolutional classifier for small images: the features of `fd_classifier`, and CAS on the digits.

Shapes: B images, H x W pixels, F features, C classes.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class SmallConvNet(nn.Module):
    """Three convolutions with BatchNorm, pooled to 2 x 2, and a linear head.

    Args:
        n_classes: C.
        width: channels of the first convolution, twice as many after it.
        dropout: on the features, in training.
    """

    def __init__(self, n_classes: int, width: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
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
        """Features of images in [0, 1], before the head."""
        return self.body(images)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        """Class logits of images in [0, 1]."""
        return self.head(self.dropout(self.features(images)))
