"""A trained VQGAN as a tokenizer.

Shapes: B images, H x W pixels, h x w tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from maskgit_lab.nets.files import load_net, open_net, save_net
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.tokenizers.base import check_divides


class VQGANTokenizer(nn.Module):
    """Wraps a `VQGAN`: no gradients, evaluation mode, and images clipped to [0, 1]."""

    def __init__(self, net: VQGAN) -> None:
        super().__init__()
        self.net = net.eval().requires_grad_(False)

    @property
    def codebook_size(self) -> int:
        """K, the number of different codes."""
        return self.net.codebook_size

    @property
    def downsample(self) -> int:
        """f, the pixels a token covers in height and in width."""
        return self.net.downsample

    @torch.no_grad()
    def encode(self, images: Float[Tensor, "B 3 H W"]) -> Int64[Tensor, "B h w"]:
        """Codes of images in [0, 1].

        Raises:
            UserError: height or width is not a multiple of `downsample`.
        """
        check_divides(images.shape[2], images.shape[3], self.downsample)
        return self.net.encode(images)

    @torch.no_grad()
    def decode(self, codes: Int64[Tensor, "B h w"]) -> Float[Tensor, "B 3 H W"]:
        """Images in [0, 1] from codes."""
        return self.net.decode(codes).clamp(0, 1)

    def save(self, path: Path, **about: Any) -> None:
        """Writes the weights, the sizes and plain values about them as safetensors."""
        save_net(self.net, path, **about)

    @classmethod
    def load(cls, net: VQGAN, path: Path) -> VQGANTokenizer:
        """Fills `net` with the weights of a file.

        Raises:
            UserError: the file is absent or damaged, or holds weights of another architecture.
        """
        load_net(net, path)
        return cls(net)

    @classmethod
    def open(cls, path: Path) -> VQGANTokenizer:
        """The tokenizer of a file that describes how to build it.

        Raises:
            UserError: the file is absent or damaged, or does not hold a tokenizer.
        """
        return cls(open_net(path, VQGAN))
