"""The VQGAN: its size, its shapes, and the quantiser."""

import pytest
import torch

from maskgit_lab.nets.quantizer import VectorQuantizer
from maskgit_lab.nets.vqgan import VQGAN, ResidualBlock


def small() -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(codebook_size=10, latent_dim=4, base_width=8, multipliers=(1, 2, 2), n_blocks=1, norm_groups=4)


def test_has_the_published_number_of_parameters():
    with torch.device("meta"):
        net = VQGAN(released_shortcut=True)
    assert sum(p.numel() for p in net.parameters()) == 54_515_587
    assert net.downsample == 16


def test_convolutions_begin_as_flax_begins_them():
    torch.manual_seed(0)
    net = VQGAN(codebook_size=4, latent_dim=32, base_width=64, multipliers=(1,), n_blocks=1, norm_groups=4)
    convolutions = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    assert {c.kernel_size for c in convolutions} == {(1, 1), (3, 3)}
    for convolution in convolutions:
        expected = convolution.weight[0].numel() ** -0.5
        weight = convolution.weight.detach()
        assert float(weight.std()) == pytest.approx(expected, rel=0.1)  # torch's default: 0.58 of it
        assert weight.abs().max() <= 2 * expected / 0.8796
        assert convolution.bias is None or not convolution.bias.any()


def test_shapes():
    net, images = small(), torch.rand(2, 3, 16, 24)
    reconstructions, latents, quantized = net(images)
    assert net.downsample == 4
    assert reconstructions.shape == images.shape
    assert latents.shape == quantized.latents.shape == (2, 4, 4, 6)
    assert quantized.codes.shape == (2, 4, 6) and quantized.distances.shape == (48, 10)
    assert torch.equal(net.encode(images), quantized.codes)
    assert torch.allclose(net.decode(quantized.codes), reconstructions, atol=1e-5)


def test_the_quantiser_takes_the_nearest_entry():
    torch.manual_seed(0)
    quantizer, latents = VectorQuantizer(10, 4), torch.randn(2, 4, 3, 3)
    quantized = quantizer(latents)
    flat = latents.permute(0, 2, 3, 1).reshape(-1, 4)
    nearest = torch.cdist(flat, quantizer.codebook).argmin(dim=1)
    assert torch.equal(quantized.codes.flatten(), nearest)
    assert torch.allclose(quantized.distances, torch.cdist(flat, quantizer.codebook).square(), atol=1e-4)
    assert torch.allclose(quantized.codebook_latents.permute(0, 2, 3, 1).reshape(-1, 4), quantizer.codebook[nearest])
    assert torch.allclose(quantized.latents, quantized.codebook_latents, atol=1e-6)


def test_gradients_pass_straight_through_and_reach_the_codebook():
    quantizer, latents = VectorQuantizer(10, 4), torch.randn(1, 4, 2, 2, requires_grad=True)
    quantized = quantizer(latents)
    (gradient,) = torch.autograd.grad((3 * quantized.latents).sum(), latents, retain_graph=True)
    assert torch.equal(gradient, torch.full_like(latents, 3.0))
    (gradient,) = torch.autograd.grad(quantized.codebook_latents.sum(), quantizer.codebook)
    used = torch.bincount(quantized.codes.flatten(), minlength=10)
    assert torch.equal(gradient, used[:, None].expand(-1, 4).float())


@pytest.mark.parametrize("released", [False, True])
def test_the_shortcut_reads_the_block_or_the_second_convolution(released):
    torch.manual_seed(0)
    block, x = ResidualBlock(8, 16, 4, released_shortcut=released), torch.randn(1, 8, 4, 4)
    y = block.second(block.first(x))
    assert torch.allclose(block(x), y + block.shortcut(y if released else x))


def test_a_width_that_is_not_a_multiple_of_the_groups_is_refused():
    with pytest.raises(ValueError, match="not a multiple of its 3 GroupNorm groups"):
        VQGAN(base_width=8, norm_groups=3)
