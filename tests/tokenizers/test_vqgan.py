"""A VQGAN as a tokenizer."""

import pytest
import torch

from maskgit_lab.errors import UserError
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.tokenizers.base import Tokenizer
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

SIZES = {"codebook_size": 10, "latent_dim": 4, "base_width": 8, "multipliers": (1, 1), "n_blocks": 1, "norm_groups": 4}


@pytest.fixture
def tokenizer():
    torch.manual_seed(0)
    return VQGANTokenizer(VQGAN(**SIZES))


def test_keeps_the_interface(tokenizer):
    assert isinstance(tokenizer, Tokenizer)
    assert (tokenizer.codebook_size, tokenizer.downsample) == (10, 2)
    codes = tokenizer.encode(torch.rand(2, 3, 8, 6))
    assert codes.shape == (2, 4, 3) and codes.max() < 10
    images = tokenizer.decode(codes)
    assert images.shape == (2, 3, 8, 6) and images.min() >= 0 and images.max() <= 1
    assert not images.requires_grad


def test_saves_and_loads(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t.safetensors")
    loaded = VQGANTokenizer.load(VQGAN(**SIZES), tmp_path / "t.safetensors")
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(loaded.decode(loaded.encode(images)), tokenizer.decode(tokenizer.encode(images)))


def test_images_that_do_not_divide_into_tokens_are_refused(tokenizer):
    with pytest.raises(UserError, match="multiple of 2"):
        tokenizer.encode(torch.rand(1, 3, 8, 7))


def test_other_files_are_refused(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "t.safetensors").read_bytes()[:100])
    for net, name, sentence in [
        (
            VQGAN(**SIZES | {"codebook_size": 11}),
            "t.safetensors",
            "has quantizer.codebook of shape 10x4 instead of 11x4",
        ),
        (VQGAN(**SIZES), "cut.safetensors", "not a valid safetensors file"),
        (VQGAN(**SIZES), "absent.safetensors", "not a valid safetensors file"),
    ]:
        with pytest.raises(UserError, match=sentence):
            VQGANTokenizer.load(net, tmp_path / name)
