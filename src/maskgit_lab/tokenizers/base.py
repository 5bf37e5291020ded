"""The interface of every tokenizer.

Shapes: B images, H x W pixels, h x w = H/f x W/f tokens.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor

from maskgit_lab.errors import UserError


@runtime_checkable
class Tokenizer(Protocol):
    """Images in [0, 1] to codes in [0, codebook_size) and back, without gradients."""

    @property
    def codebook_size(self) -> int:
        """K, the number of different codes."""
        ...

    @property
    def downsample(self) -> int:
        """f, the pixels a token covers in height and in width."""
        ...

    def encode(self, images: Float[Tensor, "B 3 H W"]) -> Int64[Tensor, "B h w"]:
        """Codes of images in [0, 1]."""
        ...

    def decode(self, codes: Int64[Tensor, "B h w"]) -> Float[Tensor, "B 3 H W"]:
        """Images in [0, 1] from codes."""
        ...


def check_divides(height: int, width: int, downsample: int) -> None:
    """Raises a `UserError` unless images of this size divide into tokens."""
    if height % downsample or width % downsample:
        raise UserError(
            f"images of {height} x {width} pixels do not divide into tokens of {downsample} x {downsample}: "
            f"choose a size that is a multiple of {downsample}"
        )
