"""Results of long loops over images, kept shard by shard, so that a killed loop is resumed after its last shard.

A shard is a safetensors file of arrays whose rows belong to items [start, stop), written to a temporary name and
renamed, with a checksum of its arrays. How the items were cut into shards, and by how many processes, does not matter
when they are put together.
"""

from __future__ import annotations

import hashlib
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.data.source import Images, Key
from maskgit_lab.nets.files import write_arrays

Arrays = dict[str, Tensor]
Make = Callable[[Sequence[range]], Iterable[Arrays]]
ENDING = ".safetensors"
CHECKSUM = "sha256"


class Shards:
    """The shards of a loop over `count` items, in a folder that several loops may share.

    Args:
        folder: where they are.
        count: items of the loop.
        prefix: before the names of the files.
    """

    def __init__(self, folder: Path, count: int, prefix: str = "") -> None:
        self.folder = folder
        self.count = count
        self.prefix = prefix

    def __iter__(self) -> Iterator[Arrays]:
        """The arrays of each shard, in the order of the items."""
        for path in self.paths():
            yield load_file(path)

    def paths(self) -> list[Path]:
        """The files of the shards, in the order of the items."""
        return sorted(self.folder.glob(f"{self.prefix}*{ENDING}"))

    def array(self, name: str) -> Tensor:
        """An array of all items."""
        return torch.cat([shard[name] for shard in self])

    def missing(self, size: int) -> list[range]:
        """The items that have no shard, in ranges of at most `size`; the same in every process.

        What a killed process left unfinished, and damaged shards, are deleted.
        """
        return ranks.share(self._missing(size) if ranks.is_main() else [])

    def fill(self, missing: Sequence[range], make: Make, advance: Callable[[int], object] = lambda _: None) -> None:
        """Makes missing shards; every process calls this and makes its share.

        Args:
            missing: the items of each shard.
            make: gives the arrays of shards, one after the other, each array with a row an item.
            advance: called with the number of items after each shard.
        """
        mine = missing[ranks.rank() :: ranks.world_size()]
        for items, arrays in zip(mine, make(mine), strict=True):
            path = self.folder / f"{self.prefix}{items.start:09}-{items.stop:09}{ENDING}"
            write_arrays(arrays, path, {CHECKSUM: _checksum(arrays)})
            advance(len(items))
        ranks.barrier()

    def remove(self) -> None:
        """Deletes the folder, and the one that it is in if nothing else is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # it is not empty
            self.folder.parent.rmdir()

    def _missing(self, size: int) -> list[range]:
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(f"{self.prefix}*.partial"):  # of a process that was killed
            left.unlink()
        ranges, position = [], 0
        for start, stop in (*self._found(), (self.count, self.count)):
            ranges += [range(a, min(a + size, start)) for a in range(position, start, size)]
            position = stop
        return ranges

    def _found(self) -> Iterator[tuple[int, int]]:
        for path in self.paths():
            try:
                with safe_open(path, "pt") as file:
                    known = (file.metadata() or {}).get(CHECKSUM)
                if known != _checksum(load_file(path)):
                    raise ValueError("another checksum")
                yield items_of(path, self.prefix)
            except (SafetensorError, OSError, ValueError):  # damaged: it is made again
                path.unlink()


class ShardImages(Images):
    """Images (n, 3, H, W) of 8 bits under the name `images` in shards, read from the disk one by one.

    Args:
        paths: of the shards, in the order of the images.
        labels: of all images.
        indices: of the images that are chosen; None: all.
    """

    def __init__(self, paths: Sequence[Path], labels: Tensor, indices: Sequence[int] | None = None) -> None:
        self.paths = list(paths)
        self.indices = list(range(len(labels))) if indices is None else list(indices)
        self.all_labels = labels
        self.labels = labels[self.indices]
        self._starts = [items_of(path)[0] for path in self.paths]
        self._opened: dict[int, Tensor] = {}

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        place = key if isinstance(key, int) else key[0]
        index = self.indices[place]
        shard = bisect_right(self._starts, index) - 1
        if shard not in self._opened:
            self._opened[shard] = load_file(self.paths[shard])["images"]  # a memory map
        return self._opened[shard][index - self._starts[shard]] / 255, self.labels[place]

    def subset(self, indices: Sequence[int]) -> ShardImages:
        return ShardImages(self.paths, self.all_labels, [self.indices[i] for i in indices])

    def __getstate__(self) -> dict[str, Any]:
        """Without memory maps, for worker processes."""
        return self.__dict__ | {"_opened": {}}


def items_of(path: Path, prefix: str = "") -> tuple[int, int]:
    """The first item of a shard's file, and the one after its last."""
    start, stop = map(int, path.stem.removeprefix(prefix).split("-"))
    return start, stop


def _checksum(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
