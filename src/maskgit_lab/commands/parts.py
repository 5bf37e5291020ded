"""Results of long loops over images, kept batch by batch, so that a loop that was killed goes on from its last batch.

A part is a safetensors file of arrays whose rows belong to images [start, stop), written to a temporary name and
renamed. How the images were cut into parts, and by how many processes, does not matter when they are put together.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import Images, Key
from maskgit_lab.nets.files import write_arrays

Make = Callable[[Sequence[range]], Iterable[dict[str, Tensor]]]
MOST_OPEN = 64  # files that a data set of parts keeps open


class Parts:
    """The parts of a loop over `count` images, in a folder."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """The arrays of each part, in the order of the images."""
        for path in self.paths():
            yield load_file(path)

    def paths(self) -> list[Path]:
        """The files of the parts, in the order of the images."""
        return sorted(self.folder.glob("*.safetensors"))

    def array(self, name: str) -> Tensor:
        """An array of all images."""
        return torch.cat([part[name] for part in self])

    def fill(self, batch_size: int, make: Make, terminal: Terminal, title: str) -> None:
        """Makes the parts that are missing; every process calls this and makes its share.

        Args:
            batch_size: images of a part.
            make: gives the arrays of batches of images, one batch after the other, each array with a row an image.
            terminal: shows a bar.
            title: of the bar.
        """
        missing = ranks.share(self._missing(batch_size) if ranks.is_main() else [])
        mine = missing[ranks.rank() :: ranks.world_size()]
        with terminal.bar(title, sum(map(len, mine)), "images/s") as advance:
            for batch, arrays in zip(mine, make(mine), strict=True):
                write_arrays(arrays, self.folder / f"{batch.start:09}-{batch.stop:09}.safetensors")
                advance(len(batch))
        ranks.barrier()

    def remove(self) -> None:
        """Deletes the folder, and the one that it is in if nothing else is there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # it is not empty
            self.folder.parent.rmdir()

    def _missing(self, batch_size: int) -> list[range]:
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob("*.partial"):  # of a process that was killed
            left.unlink()
        edges, position = [], 0
        for start, stop in (*self._sound(), (self.count, self.count)):
            edges += [range(a, min(a + batch_size, start)) for a in range(position, start, batch_size)]
            position = stop
        return edges

    def _sound(self) -> Iterator[tuple[int, int]]:
        for path in self.paths():
            try:
                with safe_open(path, "pt"):
                    start, stop = map(int, path.stem.split("-"))
                yield start, stop
            except (SafetensorError, OSError, ValueError):  # damaged: it is made again
                path.unlink()


class PartImages(Images):
    """Images (n, 3, H, W) of 8 bits under the name `images` in parts, read from the disk one by one."""

    def __init__(self, paths: Sequence[Path], labels: Tensor, indices: Sequence[int] | None = None) -> None:
        self.paths = list(paths)
        self.indices = list(range(len(labels))) if indices is None else list(indices)
        self.all_labels = labels
        self.labels = labels[self.indices]
        self._starts = torch.tensor([int(path.stem.split("-")[0]) for path in self.paths])
        self._open: dict[int, Any] = {}

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        place = key if isinstance(key, int) else key[0]
        index = self.indices[place]
        part = int(torch.searchsorted(self._starts, index, right=True)) - 1
        image = self._rows(part)[index - int(self._starts[part])]
        return image / 255, self.labels[place]

    def subset(self, indices: Sequence[int]) -> PartImages:
        return PartImages(self.paths, self.all_labels, [self.indices[i] for i in indices])

    def __getstate__(self) -> dict[str, Any]:
        """Without open files, for worker processes."""
        return self.__dict__ | {"_open": {}}

    def _rows(self, part: int) -> Any:
        if part not in self._open:
            if len(self._open) >= MOST_OPEN:
                self._open.pop(next(iter(self._open)))
            self._open[part] = safe_open(self.paths[part], "pt").get_slice("images")
        return self._open[part]
