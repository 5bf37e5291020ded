"""How much does the paper's training at 256 x 256 compute? `python benchmarks/flops.py`.

Counts the floating-point operations of one image in a training step of the transformer and of the tokenizer (GAN and
perceptual loss included), in encoding, and in decoding with T = 8, by torch's counter: a multiplication and an addition
are two. It multiplies them by the images of ImageNet and by the epochs of `experiment=imagenet256`. Nothing is timed.
With `mvtm=released` the transformer trains for 400 epochs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.objectives.adversarial import discriminator_loss, generator_loss, r1_penalty
from maskgit_lab.objectives.perceptual import LPIPS, RANDOM, ResNet50Loss

IMAGENET, TRANSFORMER_EPOCHS, TOKENIZER_EPOCHS, STEPS = 1_281_167, 300, 200, 8


def count(work: Callable[[], object]) -> int:
    """The floating-point operations of some work."""
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return int(counter.get_total_flops())


def tokenizer_step(net: VQGAN, discriminator: Discriminator, perceptual: Callable[..., Tensor], images: Tensor) -> None:
    """Forward and backward of the VQGAN's losses and then of the discriminator's."""
    rebuilt, _, _ = net(images)
    discriminator.requires_grad_(False)
    (F.mse_loss(rebuilt, images) + perceptual(rebuilt, images) + generator_loss(discriminator(rebuilt))).backward()
    discriminator.requires_grad_(True)
    real = images.requires_grad_() * 1  # torch's counter takes no gradients of leaves
    real_B, fake_B = discriminator(real), discriminator(rebuilt.detach())
    (discriminator_loss(real_B, fake_B) + r1_penalty(real_B, real)).backward()


def perceptual_losses() -> list[Callable[..., Tensor]]:
    """ResNet-50's, LPIPS, and none, on the device of the moment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a network without memory takes no weights
        networks = [ResNet50Loss(RANDOM), LPIPS(RANDOM)]
    return [*(network.to(torch.get_default_device()) for network in networks), lambda rebuilt, images: rebuilt.sum()]


def main() -> None:
    """Counts and prints."""
    torch.set_default_device("meta")  # counts without computing
    transformer, net = Transformer(n_codes=1024, n_classes=1000, n_tokens=256, dropout=0.0), VQGAN()
    tokens, labels = torch.zeros(1, 256, dtype=torch.long), torch.zeros(1, dtype=torch.long)
    images, adversary = torch.rand(1, 3, 256, 256), Discriminator(image_size=256)
    step = count(lambda: transformer(tokens, labels).sum().backward())
    forward = count(lambda: transformer(tokens, labels))
    tokenizer, with_lpips, without = (
        count(partial(tokenizer_step, net, adversary, loss, images.detach())) for loss in perceptual_losses()
    )
    encode = count(lambda: net.encode(images))
    decode = count(lambda: net.decode(torch.zeros(1, 16, 16, dtype=torch.long)))
    for what, flops in {
        "a training step of the transformer, an image": step,
        "a training step of the tokenizer, an image": tokenizer,
        "the same with tokenizer/perceptual=lpips": with_lpips,
        "the same without a perceptual loss": without,
        "encoding an image": encode,
        f"drawing an image with T = {STEPS}": STEPS * forward + decode,
        f"the transformer, {TRANSFORMER_EPOCHS} epochs of ImageNet": step * IMAGENET * TRANSFORMER_EPOCHS,
        f"the tokenizer, {TOKENIZER_EPOCHS} epochs of ImageNet": tokenizer * IMAGENET * TOKENIZER_EPOCHS,
    }.items():
        print(f"{what}: {flops:.2e}")


if __name__ == "__main__":
    main()
