"""The discriminator of MaskGIT's VQGAN: residual and StyleGAN-like, with blur pooling (appendix; StyleGAN2).

Shapes: B images, C channels, H x W pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SLOPE = 0.2


class BlurPool(nn.Module):
    """Halves height and width after a binomial blur of width 4 (Zhang, 2019)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", torch.outer(row, row)[None, None] / 64, persistent=False)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


class DownBlock(nn.Module):
    """Halves the grid: two convolutions beside a blurred 1x1 shortcut, summed and divided by sqrt(2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            BlurPool(),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )
        self.shortcut = nn.Sequential(BlurPool(), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B E H2 W2"]:
        return (self.main(x) + self.shortcut(x)) / math.sqrt(2)


class Discriminator(nn.Module):
    """One logit per image, high for real ones.

    Args:
        image_size: height and width, a power of 2 of at least 8.
        base_width: channels at 256 pixels, doubled at every halving (64 in the paper).
        max_width: no layer is wider (512 in the paper).

    Raises:
        ValueError: images of another size, or a width below 1.
    """

    def __init__(self, image_size: int, base_width: int = 64, max_width: int = 512) -> None:
        super().__init__()
        if image_size < 8 or image_size & (image_size - 1):
            raise ValueError(f"the discriminator takes images of 8, 16, 32, ... pixels, not {image_size}")
        if min(base_width, max_width) < 1:
            raise ValueError("the discriminator needs widths of at least 1")
        sizes = [2**i for i in range(int(math.log2(image_size)), 1, -1)]
        widths = [min(max_width, max(1, base_width * 256 // size)) for size in sizes]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1), nn.LeakyReLU(SLOPE)]
        layers += [DownBlock(widths[i], widths[i + 1]) for i in range(len(widths) - 1)]
        last = widths[-1]
        self.features = nn.Sequential(*layers, nn.Conv2d(last, last, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.head = nn.Sequential(nn.Linear(16 * last, last), nn.LeakyReLU(SLOPE), nn.Linear(last, 1))
        self.apply(_xavier)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
        """Logits of images in [0, 1]."""
        return self.head(self.features(images).flatten(1))[:, 0]


def _xavier(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
