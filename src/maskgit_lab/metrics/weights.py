"""Files of published weights: found or downloaded, and verified by their checksums."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.paths import path_of

RANDOM = "random"  # random weights for trial runs, as costly as the published ones


@dataclass(frozen=True)
class Published:
    """A file of weights on the web."""

    features: str  # the option of `features` that needs it
    url: str | None  # where it is; None if it can only be downloaded by hand
    source: str  # where a user without a network can get it
    sha256: str  # the first digits of its checksum, which are also in its name


INCEPTION = Published(
    "inception",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "weights-inception-2015-12-05-6726825d.pth from github.com/toshas/torch-fidelity, release v0.2.0",
    "6726825d",
)
VGG16 = Published(
    "vgg16",
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "torchvision's vgg16-397923af.pth (download.pytorch.org/models)",
    "397923af",
)
RESNET56 = Published(
    "resnet56_cifar10", None, "resnet56-4bfd9763.th from github.com/akamaster/pytorch_resnet_cifar10", "4bfd9763"
)


def weights_file(published: Published, given: str | None, key: str = "features.weights") -> Path:
    """The file of published weights: the given one, or torch.hub's, which is downloaded if it is absent.

    Args:
        published: the weights.
        given: the path of their file.
        key: the setting that gives it, for errors.

    Raises:
        UserError: it is absent and cannot be downloaded, or is a different file.
    """
    advice = f"get {published.source} and give its path with {key}=FILE"
    what = f"the weights of features={published.features}"
    path = path_of(given, key) if given is not None else _downloaded(published, what, advice)
    try:
        found = file_sha256(path)
    except OSError as error:
        raise UserError(f"{what} cannot be read from {path} ({error.strerror}): {advice}") from error
    if not found.startswith(published.sha256):
        raise UserError(
            f"{path} does not hold {what} (its SHA-256 starts with {found[:8]}, not {published.sha256}): {advice}"
        )
    return path


def _downloaded(published: Published, what: str, advice: str) -> Path:
    if published.url is None:
        raise UserError(f"{what} are not available (no file is given): {advice}")
    path = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(published.url, str(path), published.sha256, progress=False)
        except Exception as error:  # from the network, the disk, or a different checksum
            reason = first_line(error)
            raise UserError(f"{what} are not available and cannot be downloaded ({reason}): {advice}") from error
    return path
