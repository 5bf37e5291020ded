"""Checkpoints of a training, read without unpickling anything but tensors and plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from maskgit_lab.errors import UserError

IDENTITY_KEY = "maskgit_lab"  # plain values that name the run


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's plain values and tensors, on the CPU.

    Raises:
        UserError: the file is absent or damaged.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint["state_dict"], dict):
            raise TypeError("its state_dict is not a dictionary")
        return checkpoint
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}: train first, or give a run that was trained") from error
    except Exception as error:  # torch.load raises almost anything on a damaged file
        raise UserError(f"the checkpoint {path} is damaged: delete it and run its train.py command again") from error
