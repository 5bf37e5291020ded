"""How many images fit the memory at hand."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from maskgit_lab import ranks

SHARE = 0.4  # of the memory at hand: what torch's kernels need for themselves is not counted
MOST_ON_CPU, MOST_ON_GPU = 128, 512  # larger batches are not faster
PROBE = 2  # images with which the need is measured
CGROUP = Path("/sys/fs/cgroup/memory.max")


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of the tensors that are made while it is on, and the most that were alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = 0
        self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.device.type != "meta":
                self._count(tensor.untyped_storage())
        self.peak = max(self.peak, self.alive)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if size and place not in self._seen:
            self._seen.add(place)
            self.alive += size
            weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._seen.discard(place)
        self.alive -= size


def fitting_batch(work: Callable[[int], object], device: torch.device) -> int:
    """The largest power of two of images that `work` can take at once on this device, within reason.

    Args:
        work: takes a number of images and does with them all that will be done at once.
        device: where it does.
    """
    with PeakMemory() as memory:
        work(PROBE)
    return batch_for(memory.peak / PROBE, memory_at_hand(device), MOST_ON_CPU if device.type == "cpu" else MOST_ON_GPU)


def batch_for(bytes_an_image: float, bytes_at_hand: float, most: int) -> int:
    """The largest power of two of images whose memory is at hand, from 1 to `most`."""
    fitting = max(1, int(min(most, SHARE * bytes_at_hand / max(1.0, bytes_an_image))))
    return 2 ** (fitting.bit_length() - 1)


def memory_at_hand(device: torch.device) -> int:
    """Bytes that are free on a GPU, or this process's share of those on the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    limit = CGROUP.read_text().strip() if CGROUP.exists() else "max"
    free = _available()
    return min(free, int(limit)) // ranks.world_size() if limit.isdigit() else free // ranks.world_size()


def _available() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # a system that does not say what is free
