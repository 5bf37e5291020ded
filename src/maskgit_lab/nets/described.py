"""Networks that their files describe, and that are known by their weights."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

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
            array = value.detach().cpu().contiguous()
            digest.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
            digest.update(array.flatten().view(-1).numpy().tobytes() if array.numel() else b"")
    return digest.hexdigest()[:LENGTH]
