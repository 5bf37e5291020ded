"""Networks that their files describe, and that are known by their weights."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import torch
from torch import nn

from maskgit_lab.fingerprints import LENGTH


class Described(nn.Module):
    """A network that can be built again from its class and its sizes."""

    kind: ClassVar[str]  # what files and messages call it
    sizes: dict[str, Any]  # the arguments of its constructor


def weights_digest(*nets: nn.Module) -> str:
    """A hash of the weights of networks: 12 hexadecimal digits, the same on any device and in any file format."""
    digest = hashlib.sha256()
    for net in nets:
        for name, value in sorted(net.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:LENGTH]
