"""Images as 8-bit pixels, which every metric is computed from."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_uint8(images: Float[Tensor, "*batch 3 H W"]) -> UInt8[Tensor, "*batch 3 H W"]:
    """Images in [0, 1], rounded to 8 bits as an image file would hold them."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8)
