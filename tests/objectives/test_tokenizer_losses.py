"""The tokenizer's losses, against their formulas."""

import math

import pytest
import torch
from torchvision import models

from maskgit_lab.errors import UserError
from maskgit_lab.objectives.adversarial import discriminator_loss, generator_loss, r1_penalty
from maskgit_lab.objectives.perceptual import PerceptualLoss
from maskgit_lab.objectives.quantization import codebook_loss, codebook_perplexity, commitment_loss, entropy_loss


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


def test_perceptual_loss_is_a_distance_with_gradients(resnet_file):
    loss = PerceptualLoss("resnet50", resnet_file).train()
    x, y = torch.rand(1, 3, 32, 32, requires_grad=True), torch.rand(1, 3, 32, 32)
    assert loss(y, y).item() == 0 and loss(x, y).item() > 0
    (gradient,) = torch.autograd.grad(loss(x, y), x)
    assert gradient.abs().sum() > 0
    assert not any(m.training for m in loss.levels.modules())
    assert not any(p.requires_grad for p in loss.parameters())


def test_perceptual_loss_refuses_wrong_weights(resnet_file, tmp_path):
    (tmp_path / "bad.pth").write_bytes(b"not weights")
    for network, file, word in [
        ("vgg19", None, "choose vgg16, resnet50 or none"),
        ("resnet50", str(tmp_path / "absent.pth"), "tokenizer.perceptual_weights=FILE"),
        ("resnet50", str(tmp_path / "bad.pth"), "does not hold"),
        ("vgg16", resnet_file, "does not hold"),
    ]:
        with pytest.raises(UserError, match=word):
            PerceptualLoss(network, file)
