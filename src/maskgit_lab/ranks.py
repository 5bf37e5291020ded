"""Ranks of processes and the calls that they make together; a single process is rank 0 of 1."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def rank() -> int:
    """The rank of this process, from 0."""
    return distributed.get_rank() if _connected() else 0


def world_size() -> int:
    """The number of processes."""
    return distributed.get_world_size() if _connected() else 1


def is_main() -> bool:
    """Whether this is the process that writes files and prints."""
    return rank() == 0


def barrier() -> None:
    """Waits until every process has called this."""
    share(None)


def share(value: T) -> T:
    """The main process's value, in every process; all of them must call this."""
    if not _connected():
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def gather(value: T) -> list[T]:
    """The values of all processes in rank order; all of them must call this."""
    if not _connected():
        return [value]
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def _connected() -> bool:
    return distributed.is_available() and distributed.is_initialized()
