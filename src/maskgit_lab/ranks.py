"""Ranks of processes and the calls that they make together; a single process is rank 0 of 1.

The processes first meet, through the store that connects them, however long one of them works before it arrives; only
then do they exchange values, so that a collective that takes minutes is one that will never end. A process that waits
can be interrupted, and `heartbeat` notices one that will never arrive.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import distributed
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.distributed_c10d import _get_default_store

T = TypeVar("T")
SHORTEST_WAIT, LONGEST_WAIT = 0.0005, 0.2  # seconds between two looks
_meetings = itertools.count()


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
    if _connected():
        meet(store(), next(_meetings), world_size())


def share(value: T) -> T:
    """The main process's value, in every process; all of them must call this."""
    if not _connected():
        return value
    barrier()
    box = [value]
    distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def gather(value: T) -> list[T]:
    """The values of all processes in rank order; all of them must call this."""
    if not _connected():
        return [value]
    barrier()
    values: list[Any] = [None] * world_size()
    distributed.all_gather_object(values, value)
    return values


def highest(values: Sequence[int]) -> list[int]:
    """The highest of each of some numbers over all processes; all of them must call this."""
    if not _connected():
        return list(values)
    own = torch.tensor(values)
    distributed.all_reduce(own, distributed.ReduceOp.MAX)
    return [int(value) for value in own]


def store() -> Store:
    """What connects the processes, for keys of this suite."""
    return PrefixStore("maskgit_lab", _get_default_store())


def meet(place: Store, name: object, count: int, seconds: float = float("inf")) -> int:
    """Waits until all processes are there.

    Args:
        place: that connects them.
        name: of the meeting, of which there is only one.
        count: of the processes.
        seconds: to wait at most.

    Returns:
        How many are there.
    """
    arrived, all_there = f"arrived/{name}", f"all_there/{name}"
    if place.add(arrived, 1) == count:
        place.set(all_there, "1")
    begin, pause = time.monotonic(), SHORTEST_WAIT
    while not place.check([all_there]):
        if time.monotonic() - begin > seconds:
            return place.add(arrived, 0)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_WAIT)
    return count


def _connected() -> bool:
    return distributed.is_available() and distributed.is_initialized()
