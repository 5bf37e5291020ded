"""Extractors with published weights or, where those are not available, with random ones."""

import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from maskgit_lab.data.external import FolderImages
from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.metrics.pretrained import (
    POOL_WIDTH,
    SPATIAL_WIDTH,
    DINOv2Features,
    InceptionFeatures,
    ResNet56Features,
    VGG16Features,
)

CPU = torch.device("cpu")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def images(n=2, size=24):
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def inception():
    return InceptionFeatures("random", CPU)


@pytest.fixture(scope="module")
def vgg16():
    return VGG16Features("random", CPU)


def test_inception_has_pooled_and_spatial_features_and_logits(inception):
    found = inception(images())
    assert isinstance(inception, FeatureExtractor)
    shapes = [part.shape for part in found]
    assert shapes == [(2, POOL_WIDTH), (2, 1008), (2, SPATIAL_WIDTH)]
    assert all(part.isfinite().all() and part.std() > 0 for part in found)


def test_with_random_weights_it_is_not_called_inception(inception, vgg16):
    assert (inception.name, vgg16.name) == ("inception_random", "vgg16_random")


def test_inception_is_torch_fidelitys_network(inception, tmp_path):
    torch.save(inception.net.state_dict(), tmp_path / "w.pth")
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=tmp_path / "w.pth"
    )
    features, logits = theirs(images())
    ours = inception(images())
    assert torch.allclose(ours.features_nF, features, rtol=1e-4, atol=1e-5 * features.max())
    assert torch.allclose(ours.logits_nC, logits, rtol=1e-4, atol=1e-5 * logits.abs().max())


def test_spatial_features_are_the_first_channels_of_mixed_6_in_tensorflow_order(inception):
    taken = []
    handle = inception.net.Mixed_6d.branch1x1.register_forward_hook(lambda m, i, output: taken.append(output))
    spatial = inception(images(1)).spatial_nS.unflatten(1, (17, 17, 7))
    handle.remove()
    assert torch.equal(spatial[0, 3, 5], taken[0][0, :7, 3, 5])


def test_vgg16_has_only_features(vgg16):
    found = vgg16(images())
    assert found.features_nF.shape == (2, 4096) and found.features_nF.min() == 0
    assert found.logits_nC is None and found.spatial_nS is None


def test_dinov2_comes_through_torch_hub(monkeypatch):
    asked = []

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3)).repeat(1, 4)

    monkeypatch.setattr(torch.hub, "load", lambda repository, name: asked.append((repository, name)) or Mean())
    assert DINOv2Features(None, CPU)(images()).features_nF.shape == (2, 12)
    assert asked == [("facebookresearch/dinov2", "dinov2_vitl14")]
    with pytest.raises(UserError, match="is not used by features=dinov2"):
        DINOv2Features("file", CPU)

    def fails(repository, name):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load", fails)
    with pytest.raises(UserError, match=r"cannot be loaded \(no route to host\): run it once with network access"):
        DINOv2Features(None, CPU)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs CIFAR-10 and the published ResNet-56, which are not available")
def test_resnet56_recognises_cifar10(tmp_path):
    extractor = ResNet56Features(str(SHARED / "cifar10_resnets" / "resnet56-4bfd9763.th"), CPU)
    with zipfile.ZipFile(SHARED / "cifar10" / "test.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".png")][::50]
        archive.extractall(tmp_path, names)
    classes = sorted({Path(name).parent.name for name in names})
    folder = FolderImages(tmp_path)
    labels = torch.tensor([classes.index(Path(folder.pictures.name(i)).parent.name) for i in range(len(folder))])
    batch = torch.stack([(folder[i][0] * 255).round().byte() for i in range(len(folder))])
    right = (extractor(batch).logits_nC.argmax(dim=1) == labels).double().mean()
    assert len(folder) == 200 and right > 0.88  # 0.9339 of all 10,000
    with pytest.raises(UserError, match="32 x 32"):
        extractor(images())
