"""Reads checkpoints that flax serialised: a msgpack of nested names, each array as (shape, type, bytes)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import torch
from torch import Tensor

from maskgit_lab.errors import UserError, first_line

ARRAY = 1  # flax's msgpack extension code of an array
TYPES = ("float32", "float16")
LIMITS = {"max_array_len": 64, "max_map_len": 4096, "max_str_len": 4096}  # far above what a network needs


def read_flax(path: Path) -> dict[str, Tensor]:
    """The arrays under `params`, float32, by their names joined with `/`. Nothing is unpickled or executed.

    Raises:
        UserError: the file is absent or damaged, or is not such a checkpoint.
    """
    try:
        tree = msgpack.unpackb(path.read_bytes(), ext_hook=_array, **LIMITS)
        return dict(_flattened(tree["params"]))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the checkpoint's file") from error
    except Exception as error:  # msgpack and numpy raise many kinds on a hostile file
        raise UserError(
            f"{path} is not a flax checkpoint with arrays under params ({first_line(error)}): download it again, or "
            "give the released file"
        ) from error


def _array(code: int, data: bytes) -> Tensor:
    if code != ARRAY:
        raise ValueError(f"it contains an object of kind {code}")
    shape, name, buffer = msgpack.unpackb(data, **LIMITS)
    if name not in TYPES:
        raise ValueError(f"an array is of type {name!r:.40}")
    values = np.frombuffer(buffer, np.dtype(name))
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


def _flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    arrays: dict[str, Tensor] = {}
    for name, value in tree.items():
        if isinstance(value, Tensor):
            arrays[f"{prefix}{name}"] = value
        elif isinstance(value, Mapping):
            arrays |= _flattened(value, f"{prefix}{name}/")
        else:
            raise ValueError(f"{prefix}{name} is not an array")
    return arrays
