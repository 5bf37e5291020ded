"""The VQGAN of MaskGIT (section 3, first stage, and appendix): convolutions only, no attention.

Shapes: B images, H x W pixels, h x w = H/f x W/f the latent grid, D latent width, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from maskgit_lab.nets.described import Described
from maskgit_lab.nets.quantizer import Quantized, VectorQuantizer
from maskgit_lab.sizes import MOST_CODES, MOST_LAYERS

GROUPNORM_EPS = 1e-6
TRUNCATED_STD = 0.87962566103423978  # of a standard normal that is cut at two deviations


def _norm_swish(channels: int, groups: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(groups, channels, eps=GROUPNORM_EPS), nn.SiLU())


def _conv3(inputs: int, outputs: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after GroupNorm and swish, and a 1x1 shortcut where the width changes.

    In the released code the shortcut reads the output of the second convolution instead of the block's input;
    `released_shortcut` does the same.
    """

    def __init__(self, inputs: int, outputs: int, groups: int, released_shortcut: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(*_norm_swish(inputs, groups), _conv3(inputs, outputs, bias=False))
        self.second = nn.Sequential(*_norm_swish(outputs, groups), _conv3(outputs, outputs, bias=False))
        self.released_shortcut = released_shortcut
        width = outputs if released_shortcut else inputs
        self.shortcut = nn.Conv2d(width, outputs, 1, bias=False) if inputs != outputs else None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B E H W"]:
        y = self.second(self.first(x))
        if self.shortcut is None:
            return x + y
        return y + self.shortcut(y if self.released_shortcut else x)


class Upsample(nn.Module):
    """Doubles height and width by nearest neighbour, then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv3(channels, channels, bias=True)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def _blocks(inputs: int, outputs: int, count: int, groups: int, released_shortcut: bool) -> list[nn.Module]:
    return [ResidualBlock(outputs if i else inputs, outputs, groups, released_shortcut) for i in range(count)]


def _encoder(widths: Sequence[int], latent_dim: int, n_blocks: int, groups: int, released: bool) -> nn.Sequential:
    layers: list[nn.Module] = [_conv3(3, widths[0], bias=False)]
    inputs = widths[0]
    for level, width in enumerate(widths):
        layers += _blocks(inputs, width, n_blocks, groups, released)
        if level < len(widths) - 1:
            layers.append(nn.AvgPool2d(2))
        inputs = width
    layers += _blocks(inputs, inputs, n_blocks, groups, released)
    return nn.Sequential(*layers, *_norm_swish(inputs, groups), nn.Conv2d(inputs, latent_dim, 1))


def _decoder(widths: Sequence[int], latent_dim: int, n_blocks: int, groups: int, released: bool) -> nn.Sequential:
    inputs = widths[-1]
    layers: list[nn.Module] = [_conv3(latent_dim, inputs, bias=True)]
    layers += _blocks(inputs, inputs, n_blocks, groups, released)
    for level, width in reversed(list(enumerate(widths))):
        layers += _blocks(inputs, width, n_blocks, groups, released)
        if level > 0:
            layers.append(Upsample(width))
        inputs = width
    return nn.Sequential(*layers, *_norm_swish(inputs, groups), _conv3(inputs, 3, bias=True))


class VQGAN(Described):
    """Encoder, quantiser and decoder; `f = 2 ** (len(multipliers) - 1)` is the downsampling factor.

    Args:
        codebook_size: K.
        latent_dim: D, the width of a codebook entry.
        base_width: channels of the first level.
        multipliers: channels of each level, in units of `base_width`; each level after the first halves the grid.
        n_blocks: residual blocks per level.
        norm_groups: groups of GroupNorm; must divide every width.
        released_shortcut: see `ResidualBlock`.
    """

    kind = "tokenizer"

    def __init__(
        self,
        codebook_size: int = 1024,
        latent_dim: int = 256,
        base_width: int = 128,
        multipliers: Sequence[int] = (1, 1, 2, 2, 4),
        n_blocks: int = 2,
        norm_groups: int = 32,
        released_shortcut: bool = False,
    ) -> None:
        super().__init__()
        widths = [base_width * multiplier for multiplier in multipliers]
        if not widths or min(*widths, latent_dim, n_blocks, codebook_size, norm_groups) < 1:
            raise ValueError("the VQGAN needs a level and sizes of at least 1")
        if n_blocks > MOST_LAYERS:
            raise ValueError(f"the VQGAN's {n_blocks:,} blocks of a level are more than {MOST_LAYERS:,}")
        if codebook_size > MOST_CODES:
            raise ValueError(f"the VQGAN's codebook of {codebook_size:,} codes has more than {MOST_CODES:,}")
        if bad := [width for width in widths if width % norm_groups]:
            raise ValueError(f"the VQGAN's width {bad[0]} is not a multiple of its {norm_groups} GroupNorm groups")
        self.sizes = {
            "codebook_size": codebook_size,
            "latent_dim": latent_dim,
            "base_width": base_width,
            "multipliers": list(multipliers),
            "n_blocks": n_blocks,
            "norm_groups": norm_groups,
            "released_shortcut": released_shortcut,
        }
        self.downsample = 2 ** (len(widths) - 1)
        self.codebook_size = codebook_size
        self.encoder = _encoder(widths, latent_dim, n_blocks, norm_groups, released_shortcut)
        self.quantizer = VectorQuantizer(codebook_size, latent_dim)
        self.decoder = _decoder(widths, latent_dim, n_blocks, norm_groups, released_shortcut)
        self.apply(_lecun_normal)

    def forward(
        self, images: Float[Tensor, "B 3 H W"]
    ) -> tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B D h w"], Quantized]:
        """Reconstructions (not clipped), the latents before quantisation, and the quantiser's output."""
        latents = self.encoder(images)
        quantized = self.quantizer(latents)
        return self.decoder(quantized.latents), latents, quantized

    @property
    def last_layer(self) -> nn.Parameter:
        """The weights of the decoder's last convolution, which every loss of a reconstruction reaches."""
        weight = self.decoder[-1].weight
        assert isinstance(weight, nn.Parameter)
        return weight

    def encode(self, images: Float[Tensor, "B 3 H W"]) -> Int64[Tensor, "B h w"]:
        """Codes of images in [0, 1]."""
        return self.quantizer(self.encoder(images)).codes

    def decode(self, codes: Int64[Tensor, "B h w"]) -> Float[Tensor, "B 3 H W"]:
        """Images from codes; the decoder's raw output, which may slightly leave [0, 1]."""
        return self.decoder(self.quantizer.lookup(codes))


def _lecun_normal(module: nn.Module) -> None:
    """flax's default, with which the released code begins: a normal of variance 1 / fan-in, cut at two deviations."""
    if isinstance(module, nn.Conv2d):
        std = 1 / math.sqrt(module.weight[0].numel()) / TRUNCATED_STD
        nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
