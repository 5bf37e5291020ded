"""The torch device of an accelerator's name."""

from __future__ import annotations

import torch

from maskgit_lab.errors import UserError


def device_of(accelerator: str, key: str = "accelerator") -> torch.device:
    """The device that Lightning's name of an accelerator stands for: `auto`, `cpu`, `gpu`, `cuda` or `mps`.

    Args:
        accelerator: the name.
        key: the setting or argument that has it, for errors.

    Raises:
        UserError: this machine has none.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    there = [name for name, is_there in available.items() if is_there]
    if accelerator == "auto":
        return torch.device(there[0])
    name = next((n for n in there if n != "cpu"), "") if accelerator == "gpu" else accelerator
    if name not in there:
        raise UserError(f"{key}={accelerator} is not on this machine: choose auto or one of {', '.join(there)}")
    return torch.device(name)
