"""The non-saturating GAN loss and its R1 penalty (Goodfellow et al. 2014; Mescheder et al. 2018).

Shapes: B images, H x W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def generator_loss(fake_logits_B: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """-log sigmoid(D(fake)), averaged."""
    return F.softplus(-fake_logits_B).mean()


def discriminator_loss(real_logits_B: Float[Tensor, " B"], fake_logits_B: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """-log sigmoid(D(real)) - log(1 - sigmoid(D(fake))), averaged."""
    return F.softplus(-real_logits_B).mean() + F.softplus(fake_logits_B).mean()


def r1_penalty(real_logits_B: Float[Tensor, " B"], images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, ""]:
    """Squared norm of the discriminator's gradient at real images, averaged over images.

    `images` must require gradients, and `real_logits_B` be computed from them. The released code multiplies this by
    its penalty cost (10) without StyleGAN's factor of one half.
    """
    (gradient,) = torch.autograd.grad(real_logits_B.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
