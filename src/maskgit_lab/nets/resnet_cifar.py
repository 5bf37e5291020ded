"""The residual networks of He et al. (2016), section 4.2, for CIFAR-10: 6 n + 2 layers, shortcuts without weights.

Shapes: B images, F = 64 features, C classes.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm; the shortcut halves the grid and adds channels of zeros (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.missing = (outputs - inputs) // 2

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B E H2 W2"]:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(shortcut, (0, 0, 0, 0, self.missing, self.missing)))


class CifarResNet(nn.Module):
    """A residual network for images of 32 x 32.

    Args:
        n_blocks: n, the blocks in each of three stages; 9 makes a ResNet-56.
        n_classes: C.
    """

    def __init__(self, n_blocks: int = 9, n_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = self._stage(WIDTHS[0], WIDTHS[0], n_blocks, 1)
        self.layer2 = self._stage(WIDTHS[0], WIDTHS[1], n_blocks, 2)
        self.layer3 = self._stage(WIDTHS[1], WIDTHS[2], n_blocks, 2)
        self.linear = nn.Linear(WIDTHS[2], n_classes)

    @staticmethod
    def _stage(inputs: int, outputs: int, n_blocks: int, stride: int) -> nn.Sequential:
        rest = [BasicBlock(outputs, outputs, 1) for _ in range(n_blocks - 1)]
        return nn.Sequential(BasicBlock(inputs, outputs, stride), *rest)

    def features(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B F"]:
        """Features of normalised images, before the head."""
        x = F.relu(self.bn1(self.conv1(images)))
        return self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        """Class logits of normalised images."""
        return self.linear(self.features(images))
