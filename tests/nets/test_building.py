"""Networks are counted while they are built, whatever their class, so that none hangs or fills the memory."""

import sys
import time

import pytest
import torch
from torch import nn
from torch.nn.modules import module as registration

from maskgit_lab.errors import UserError
from maskgit_lab.nets import building
from maskgit_lab.nets.building import build_net

NETS = "maskgit_lab.nets."
MODULE = """
from itertools import count
from torch import nn

class Endless(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Identity() for _ in count())

class Wide(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("table", __import__("torch").zeros(width, width, device="meta"))
"""
TRANSFORMER = {"n_codes": 8, "n_classes": 2, "n_tokens": 4}
TOO_LARGE = [
    ("transformer.Transformer", {"depth": 10**6}, "the transformer's depth 1,000,000 is more than 1,000 layers"),
    ("transformer.Transformer", {"depth": 1, "width": 10**8}, "net has more "),
    ("transformer.Transformer", {"depth": 1, "mlp_width": 10**10}, "net has more "),
    ("transformer.Transformer", {"n_tokens": 2**20}, "images of 1,048,576 tokens have more than 65,536"),
    ("causal.CausalTransformer", {"depth": 10**9}, "is more than 1,000 layers"),
    ("vqgan.VQGAN", {"n_blocks": 10**9}, "1,000,000,000 blocks of a level are more than 1,000"),
    ("vqgan.VQGAN", {"base_width": 32 * 10**7}, "net has more "),
    ("vqgan.VQGAN", {"codebook_size": 10**9}, "codebook of 1,000,000,000 codes has more than 262,144"),
    ("vqgan.VQGAN", {"latent_dim": 10**10}, "net has more "),
    ("classifier.SmallConvNet", {"n_classes": 2, "width": 10**8}, "net has more "),
    ("classifier.SmallConvNet", {"n_classes": 2, "width": 0}, "the classifier needs a width of at least 1"),
    ("classifier.ResNet50", {"n_classes": 2, "layers": [1, 1, 1, 10**7]}, "a stage has more than 1,000 blocks"),
    ("classifier.ResNet50", {"n_classes": 2, "layers": [1, 1, 1, 1.5]}, "give a whole number for each"),
    ("discriminator.Discriminator", {"image_size": 16, "base_width": 0}, "widths of at least 1"),
    ("discriminator.Discriminator", {"image_size": 16, "max_width": -5}, "widths of at least 1"),
    ("discriminator.Discriminator", {"image_size": 64, "base_width": 10**6, "max_width": 10**6}, "net has more "),
    ("own_nets.Wide", {"width": 10**6}, "net has more than 10,000,000,000 weights: lower its sizes"),
]


@pytest.fixture
def own_nets(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_nets", None)


@pytest.mark.parametrize(("target", "values", "said"), TOO_LARGE)
def test_what_no_machine_can_hold_is_refused_at_once(own_nets, target, values, said):
    known = TRANSFORMER if "ransformer" in target else {}
    node = {"_target_": target if target.startswith("own") else NETS + target, **known, **values}
    start = time.process_time()
    with torch.device("meta"), pytest.raises(UserError) as caught:
        build_net(node, "net", nn.Module)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert time.process_time() - start < 5
    assert not registration._global_module_registration_hooks  # nothing else is counted
    assert not registration._global_parameter_registration_hooks


def test_a_network_without_end_is_stopped(own_nets, monkeypatch):
    monkeypatch.setattr(building, "MOST_MODULES", 500)
    with pytest.raises(UserError, match=r"^net has more than 500 modules: lower its sizes$"):
        build_net({"_target_": "own_nets.Endless"}, "net", nn.Module)


def test_what_this_machine_cannot_hold_is_said(monkeypatch):
    node = {"_target_": "torch.nn.Linear", "in_features": 100, "out_features": 100}
    monkeypatch.setattr(building, "memory", lambda: 4 * 10_100)
    assert build_net(node, "net", nn.Linear).weight.shape == (100, 100)
    monkeypatch.setattr(building, "memory", lambda: 4 * 10_099)
    with pytest.raises(UserError, match="net has more weights than this machine can hold, 10,099: lower its sizes"):
        build_net(node, "net", nn.Linear)
    monkeypatch.setattr(building, "memory", lambda: None)
    assert build_net(node, "net", nn.Linear).bias.shape == (100,)
