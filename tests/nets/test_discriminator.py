"""The discriminator: its widths, its blur, and what it refuses."""

import pytest
import torch

from maskgit_lab.nets.discriminator import BlurPool, Discriminator


def test_gives_one_logit_per_image():
    torch.manual_seed(0)
    assert Discriminator(16, base_width=1, max_width=8)(torch.rand(3, 3, 16, 16)).shape == (3,)


def test_has_the_widths_of_stylegan_at_256():
    with torch.device("meta"):
        net = Discriminator(256)
    convolutions = [m.out_channels for m in net.features if isinstance(m, torch.nn.Conv2d)]
    blocks = [m.shortcut[1].out_channels for m in net.features if hasattr(m, "shortcut")]
    assert convolutions == [64, 512] and blocks == [128, 256, 512, 512, 512, 512]


def test_blur_keeps_the_mean_and_halves_the_grid():
    pooled = BlurPool()(torch.full((1, 2, 8, 8), 3.0))
    assert pooled.shape == (1, 2, 4, 4)
    assert torch.allclose(pooled[:, :, 1:-1, 1:-1], torch.tensor(3.0))


@pytest.mark.parametrize("size", [4, 12, 100])
def test_sizes_that_do_not_halve_are_refused(size):
    with pytest.raises(ValueError, match="takes images of 8, 16, 32"):
        Discriminator(size)
