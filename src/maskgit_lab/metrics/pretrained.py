"""Feature extractors with published weights: the Inception network of 2015, VGG16, DINOv2, a ResNet-56 for CIFAR-10.

Shapes: n images, F features, C classes, S spatial features.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torchvision.models import vgg16

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.metrics.features import FeatureExtractor, Features
from maskgit_lab.metrics.weights import INCEPTION, RANDOM, RESNET56, VGG16, weights_file
from maskgit_lab.nets.classifier import IMAGENET_MEAN, IMAGENET_STD
from maskgit_lab.nets.resnet_cifar import CifarResNet

INCEPTION_LAYERS = ["2048", "logits_unbiased"]
SPATIAL_CHANNELS = 7  # of ADM's sFID, on a grid of 17 x 17
POOL_WIDTH, SPATIAL_WIDTH = 2048, 17 * 17 * SPATIAL_CHANNELS
CIFAR_SIZE = 32
FAST = torch.channels_last  # in this layout, convolutions on a CPU take two thirds of the time


class InceptionFeatures:
    """The network of 2015-12-05 in torch-fidelity's version, the only one whose distance is FID.

    Its spatial features are those of ADM's sFID: the first 7 channels of `mixed_6/conv`, in the order (H, W, C).

    Args:
        weights: torch-fidelity's file; None downloads it; `random` draws random ones, which never give an FID.
        device: where it runs.

    Raises:
        UserError: the weights are not available, or the file is a different one.
    """

    classes_of: str | None = None  # its 1,008 outputs are not the classes of any dataset here

    def __init__(self, weights: str | None, device: torch.device) -> None:
        self.name = self.identity = _name(INCEPTION.features, weights)
        if weights == RANDOM:
            self.net: nn.Module = _untrained(FeatureExtractorInceptionV3, "inception-v3-compat", INCEPTION_LAYERS)
        else:
            path = weights_file(INCEPTION, weights)
            self.identity = file_sha256(path)
            self.net = FeatureExtractorInceptionV3(
                "inception-v3-compat", INCEPTION_LAYERS, feature_extractor_weights_path=str(path)
            )
        self.net.to(device, memory_format=FAST)  # type: ignore[call-overload]
        self.device = device
        self._spatial: Tensor | None = None
        branch = self.net.Mixed_6d.branch1x1  # type: ignore[union-attr]
        branch.register_forward_hook(self._keep)  # type: ignore[union-attr]

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._spatial = output[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features (F = 2,048), class logits (C = 1,008) and spatial features (S = 2,023) of 8-bit images."""
        features_nF, logits_nC = self.net(images.to(self.device))
        assert self._spatial is not None
        return Features(features_nF.cpu(), logits_nC.cpu(), self._spatial.cpu())


class VGG16Features:
    """torchvision's VGG16 in torch-fidelity's version, F = 4,096: the paper's precision and recall (Table 1).

    Args:
        weights: torchvision's file; None downloads it; `random` draws random ones.
        device: where it runs.

    Raises:
        UserError: the weights are not available, or the file is a different one.
    """

    classes_of: str | None = None

    def __init__(self, weights: str | None, device: torch.device) -> None:
        self.name = self.identity = _name(VGG16.features, weights)
        if weights == RANDOM:
            path: Any = _in_memory(_drawn(vgg16()).state_dict())
        else:
            path = weights_file(VGG16, weights)
            self.identity = file_sha256(path)
        self.net = FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=path)
        self.net.to(device, memory_format=FAST)
        self.device = device

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features of 8-bit images."""
        return Features(self.net(images.to(self.device))[0].cpu())


class DINOv2Features:
    """DINOv2 ViT-L/14 in torch-fidelity's version, F = 1,024 (Stein et al. 2023); torch.hub downloads code and weights.

    Args:
        weights: None, since there is no file to give.
        device: where it runs.

    Raises:
        UserError: a file is given, or torch.hub can neither download nor find the network.
    """

    name = "dinov2"
    classes_of: str | None = None

    def __init__(self, weights: str | None, device: torch.device) -> None:
        if weights is not None:
            raise UserError(f"features.weights={weights} is not used by features=dinov2: leave it out")
        try:
            self.net = FeatureExtractorDinoV2("dinov2-vit-l-14", ["dinov2"]).to(device)
        except Exception as error:  # from the network, the disk, or the code that torch.hub loads
            raise UserError(
                f"features=dinov2 cannot be loaded ({first_line(error)}): run it once with network access, or copy "
                f"torch.hub's folder of facebookresearch/dinov2 and its checkpoint to {torch.hub.get_dir()}"
            ) from error
        self.identity = _digest(self.net)
        self.device = device

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features of 8-bit images."""
        return Features(self.net(images.to(self.device))[0].cpu())


class ResNet56Features:
    """The published ResNet-56 of akamaster/pytorch_resnet_cifar10, for CIFAR-10; the distance is `fd_resnet56_cifar10`.

    Args:
        weights: its file `resnet56-4bfd9763.th`.
        device: where it runs.

    Raises:
        UserError: the weights are not available, or the file is a different one.
    """

    name = "resnet56_cifar10"
    classes_of: str | None = "cifar10"

    def __init__(self, weights: str | None, device: torch.device) -> None:
        path = weights_file(RESNET56, weights)
        self.identity = file_sha256(path)
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        self.net = CifarResNet()
        self.net.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
        self.net.eval().to(device)
        self.device = device
        self.mean, self.std = (torch.tensor(v, device=device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))

    @torch.no_grad()
    def __call__(self, images: UInt8[Tensor, "n 3 H W"]) -> Features:
        """Features and class logits of 8-bit images of 32 x 32.

        Raises:
            UserError: images of another size.
        """
        check_size(self.name, (images.shape[2], images.shape[3]))
        features_nF = self.net.features((images.to(self.device) / 255 - self.mean) / self.std)
        return Features(features_nF.cpu(), self.net.linear(features_nF).cpu())


PRETRAINED: dict[str, Callable[[str | None, torch.device], FeatureExtractor]] = {
    "inception": InceptionFeatures,
    "vgg16": VGG16Features,
    "dinov2": DINOv2Features,
    "resnet56_cifar10": ResNet56Features,
}


def check_size(features: str, size: tuple[int, int]) -> None:
    """Raises a `UserError` if an extractor cannot take images of this height and width."""
    if features == ResNet56Features.name and size != (CIFAR_SIZE, CIFAR_SIZE):
        raise UserError(f"features={features} needs 32 x 32 pixels, not {size[0]} x {size[1]}: choose other features")


def ensure_weights(features: str, weights: str | None, key: str) -> None:
    """Finds or downloads the weights of an extractor, so that no process has to do so later.

    Args:
        features: its name.
        weights: its file; None downloads it.
        key: the setting that gives the file, for errors.

    Raises:
        UserError: they are not available, or the file is a different one.
    """
    published = {each.features: each for each in (INCEPTION, VGG16, RESNET56)}
    if features in published and weights != RANDOM:
        weights_file(published[features], weights, key)
    elif features == DINOv2Features.name:
        DINOv2Features(weights, torch.device("cpu"))


def _name(features: str, weights: str | None) -> str:
    return f"{features}_{RANDOM}" if weights == RANDOM else features


def _digest(net: nn.Module) -> str:
    """A hash of the weights of a network without a file of its own."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _untrained(kind: type[FeatureExtractorInceptionV3], *arguments: Any) -> nn.Module:
    """The network with random weights; its constructor needs a file, whose content is ignored."""

    class Untrained(kind):
        def load_state_dict(self, *state: Any, **how: Any) -> None:
            """Loads nothing."""

    return _drawn(Untrained(*arguments, feature_extractor_weights_path=_in_memory({})))


def _in_memory(state: dict[str, Tensor]) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


def _drawn(net: nn.Module) -> nn.Module:
    """Random weights that preserve the variance of activations (He et al. 2015), the same at every call."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight
            weight.data = torch.randn(weight.shape, generator=generator) * (2 / weight[0].numel()) ** 0.5
    return net
