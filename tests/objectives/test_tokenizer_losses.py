"""The tokenizer's losses, against their formulas."""

import math

import pytest
import torch
import torchmetrics.functional.image.lpips as lpips
from torchvision import models
from torchvision.transforms import functional as transforms

from maskgit_lab.errors import UserError
from maskgit_lab.objectives.adversarial import discriminator_loss, generator_loss, r1_penalty
from maskgit_lab.objectives.perceptual import LPIPS, ResNet50Loss
from maskgit_lab.objectives.quantization import (
    codebook_loss,
    codebook_perplexity,
    commitment_loss,
    entropy_loss,
    mean_assignment,
)


def test_codebook_and_commitment_differ_only_in_their_gradients():
    latents, entries = (torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(2))
    codebook, commitment = codebook_loss(latents, entries), commitment_loss(latents, entries)
    assert codebook.item() == commitment.item() == pytest.approx((latents - entries).square().mean().item())
    assert torch.autograd.grad(codebook, [latents, entries], allow_unused=True)[0] is None
    assert torch.autograd.grad(commitment, [latents, entries], allow_unused=True)[1] is None


def test_entropy_is_lowest_for_certain_and_even_code_usage():
    even = (1 - torch.eye(8)) * 100
    collapsed = even[:1].expand(8, -1)
    unsure = torch.zeros(8, 8)
    assert entropy_loss(even, 0.01).item() == pytest.approx(-math.log(8), abs=1e-3)
    assert entropy_loss(collapsed, 0.01).item() == pytest.approx(0, abs=1e-3)
    assert entropy_loss(unsure, 0.01).item() == pytest.approx(0, abs=1e-3)


def test_the_gradient_of_the_entropy_loss_over_parts_is_that_of_the_whole():
    distances = torch.rand(10, 4, requires_grad=True)
    whole = mean_assignment(distances, 0.3).detach()
    losses = [entropy_loss(part, 0.3, lambda _: whole) for part in distances.split((3, 7))]
    by_parts, at_once = 0.3 * losses[0] + 0.7 * losses[1], entropy_loss(distances, 0.3)
    assert by_parts.item() == pytest.approx(at_once.item())
    gradients = (torch.autograd.grad(loss, distances)[0] for loss in (by_parts, at_once))
    assert torch.allclose(*gradients, atol=1e-6)


def test_perplexity_counts_equally_used_codes():
    assert codebook_perplexity(torch.tensor([5.0, 0, 0, 5, 0, 0])).item() == pytest.approx(2)
    assert codebook_perplexity(torch.ones(8)).item() == pytest.approx(8)


def test_gan_losses_are_non_saturating():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    assert generator_loss(fake).item() == pytest.approx(-fake.sigmoid().log().mean().item(), rel=1e-5)
    expected = -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()
    assert discriminator_loss(real, fake).item() == pytest.approx(expected.item(), rel=1e-5)


def test_r1_is_the_squared_gradient_norm():
    weight = torch.randn(3, 4, 4)
    images = torch.rand(5, 3, 4, 4, requires_grad=True)
    logits = (images * weight).sum(dim=(1, 2, 3)) * torch.arange(5.0)
    expected = weight.square().sum() * torch.arange(5.0).square().mean()
    assert r1_penalty(logits, images).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet50.pth"
    torch.manual_seed(0)
    torch.save(models.resnet50(weights=None).state_dict(), path)
    return str(path)


def pair(size: int) -> list[torch.Tensor]:
    """Reconstructions, which may slightly leave [0, 1], and images."""
    torch.manual_seed(1)
    return [torch.rand(2, 3, size, size) * 1.1 - 0.05, torch.rand(2, 3, size, size)]


@pytest.mark.parametrize("size", [32, 300])
def test_resnet50_loss_is_the_mean_square_of_features_as_they_are(size):
    loss = ResNet50Loss("random")
    loss.features = torch.nn.Conv2d(3, 5, 32, stride=32)
    maps = []
    for images in pair(size):
        resized = transforms.resize(images, [224, 224], transforms.InterpolationMode.BILINEAR, antialias=True)
        maps.append(loss.features(transforms.normalize(resized, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])))
    expected = (maps[0] - maps[1]).square().sum() / (2 * 5 * 7 * 7)
    assert loss(*pair(size)).item() == pytest.approx(expected.item(), rel=1e-5)
    loss.features.weight.data *= 10
    loss.features.bias.data *= 10
    assert loss(*pair(size)).item() == pytest.approx(100 * expected.item(), rel=1e-4)  # nothing normalises them
    images, targets = pair(size)
    with torch.autocast("cpu", torch.bfloat16):
        distance = loss(images.bfloat16().requires_grad_(), targets)
    assert distance.dtype == torch.float32 and distance.item() == pytest.approx(100 * expected.item(), rel=0.02)
    distance.backward()


def test_resnet50_loss_has_the_map_before_pooling(resnet_file):
    network = models.resnet50(weights=None).eval()
    network.load_state_dict(torch.load(resnet_file, weights_only=True))
    loss, images = ResNet50Loss(resnet_file).train(), pair(224)[1][:1]
    features = loss.features(images)
    assert features.shape == (1, 2048, 7, 7) and features.min() == 0
    torch.testing.assert_close(network.fc(features.mean(dim=(2, 3))), network(images))
    check_distance(loss)


def vgg16_levels(state: dict, images: torch.Tensor) -> list[torch.Tensor]:
    """The features of VGG16 that LPIPS compares, each position scaled to a norm of 1."""
    shift, scale = (torch.tensor(v)[:, None, None] for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    x, levels, layer = (2 * images - 1 - shift) / scale, [], 0
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            weight, bias = state[f"features.{layer}.weight"], state[f"features.{layer}.bias"]
            x, layer = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu(), layer + 2
        levels.append(x / (x.square().sum(dim=1, keepdim=True) + 1e-8).sqrt())
        x, layer = torch.nn.functional.max_pool2d(x, 2), layer + 1
    return levels


def test_lpips_is_its_formula_with_the_weights_of_a_file(tmp_path):
    network = LPIPS("random").lpips.net
    state = {f"features.{name.partition('.')[2]}": value for name, value in network.state_dict().items()}
    torch.save(state, tmp_path / "vgg16.pth")
    heads = torch.load(f"{lpips.__file__.removesuffix('lpips.py')}lpips_models/vgg.pth", "cpu", weights_only=True)
    expected = torch.zeros(2)
    for level, (a, b) in enumerate(zip(*(vgg16_levels(state, images) for images in pair(32)), strict=True)):
        expected += ((a - b).square() * heads[f"lin{level}.model.1.weight"]).sum(dim=1).mean(dim=(1, 2))
    loss = LPIPS(str(tmp_path / "vgg16.pth")).train()
    assert loss(*pair(32)).item() == pytest.approx(expected.mean().item(), rel=1e-4)
    check_distance(loss)


def check_distance(loss: torch.nn.Module) -> None:
    """It is 0 for the same images, has a gradient, and its network never changes."""
    x, y = (images[:1] for images in pair(32))
    (gradient,) = torch.autograd.grad(loss(x.requires_grad_(), y), x)
    assert loss(y, y).item() == 0 and gradient.abs().sum() > 0
    assert not any(m.training for m in loss.modules())
    assert not any(p.requires_grad for p in loss.parameters())


def test_perceptual_losses_refuse_wrong_weights(resnet_file, tmp_path):
    (tmp_path / "bad.pth").write_bytes(b"not weights")
    torch.save([1], tmp_path / "list.pth")
    for kind, file, words in [
        (ResNet50Loss, "absent.pth", "cannot be read from .*absent.pth.* tokenizer.perceptual_weights=FILE, or switch"),
        (ResNet50Loss, "bad.pth", "does not hold torchvision's weights of resnet50"),
        (ResNet50Loss, "list.pth", "does not hold torchvision's weights of resnet50"),
        (LPIPS, resnet_file, "does not hold torchvision's weights of vgg16"),
    ]:
        with pytest.raises(UserError, match=words):
            kind(str(tmp_path / file))
