"""Checkpoints of a training, read without unpickling anything but tensors and plain values.

A checkpoint carries the SHA-256 of its bytes as the comment that a zip file may end with, which torch passes over: a
file of its own could not be replaced at the same moment.
"""

from __future__ import annotations

import hashlib
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from maskgit_lab.errors import UserError
from maskgit_lab.paths import check_regular

IDENTITY_KEY = "maskgit_lab"  # plain values that name the run
MARK = b"sha256:"
SEAL = len(MARK) + 64  # bytes of the comment
BLOCK = 1 << 20


def seal(path: Path) -> None:
    """Adds its checksum to a file that `torch.save` wrote, and waits until all of it is on the disk."""
    with path.open("r+b") as file:
        digest = _sha256(file, file.seek(0, 2))
        file.seek(-2, 2)  # where a zip file without a comment has the length of its comment
        file.write(struct.pack("<H", SEAL) + MARK + digest)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system can say so."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_intact(path: Path) -> bool:
    """Whether a file has the checksum that it was sealed with."""
    check_regular(path)
    with path.open("rb") as file:
        length = file.seek(0, 2) - SEAL
        if length < 2:
            return False
        file.seek(length)
        seal = file.read()
        return seal.startswith(MARK) and seal.removeprefix(MARK) == _sha256(file, length)


def _sha256(file: BinaryIO, length: int) -> bytes:
    """Of the first bytes of a zip file, as they were while it had no comment."""
    digest, left = hashlib.sha256(), length - 2
    file.seek(0)
    while left > 0:
        block = file.read(min(BLOCK, left))
        digest.update(block)
        left -= len(block)
    return digest.hexdigest().encode()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's plain values and tensors, on the CPU.

    Raises:
        UserError: the file is absent or damaged.
    """
    damaged = f"the checkpoint {path} is damaged: put a copy back, or delete it and give its train.py command again"
    try:
        if not is_intact(path):
            raise UserError(damaged.replace("damaged", "damaged (its checksum differs)"))
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint["state_dict"], dict):
            raise TypeError("its state_dict is not a dictionary")
        return checkpoint
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}: train first, or give a run that was trained") from error
    except UserError:
        raise
    except Exception as error:  # torch.load raises almost anything on a damaged file
        raise UserError(damaged) from error
