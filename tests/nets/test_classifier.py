"""Classifiers."""

import pytest
import torch
from torchvision.models import resnet50

from maskgit_lab.nets.classifier import ResNet50, SmallConvNet


def count(net):
    return sum(p.numel() for p in net.parameters())


def test_has_the_parameters_of_torchvisions_resnet50():
    with torch.device("meta"):
        assert count(ResNet50(1000)) == count(resnet50()) == 25_557_032


def test_small_images_keep_their_resolution_in_the_first_layers():
    with torch.device("meta"):
        net = ResNet50(10, small_images=True)
        found = []
        net.body.layer1.register_forward_hook(lambda m, inputs, output: found.append(output.shape[-1]))
        assert net(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    assert found == [32] and net.head.in_features == 2048


@pytest.mark.parametrize("net", [SmallConvNet(10, width=4), ResNet50(10, layers=(1, 1, 1, 1), small_images=True)])
def test_logits_are_the_head_of_the_features(net):
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        features = net.eval().features(images)
        assert torch.allclose(net(images), net.head(features))
    assert features.shape == (2, net.head.in_features)


@pytest.mark.parametrize("layers", [(3, 4, 6), (3, 4, 6, 0)])
def test_a_resnet_has_four_stages(layers):
    with pytest.raises(ValueError, match="four stages"):
        ResNet50(10, layers=layers)
