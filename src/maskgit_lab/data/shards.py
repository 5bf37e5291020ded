"""Writes the token cache in shards, with any number of processes; a killed run repeats only unfinished shards.

A shard has the codes of consecutive items, where item j of n images is view j // n of image j % n. It is written to a
temporary file and renamed, and then so is a record with its checksum; a shard without a record, or with another
checksum, is written again. Its content depends only on the images, the seed of their views and the tokenizer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from maskgit_lab.data.source import ImageData, Images, Key
from maskgit_lab.fingerprints import file_sha256

Encode = Callable[[Tensor], Tensor]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Shard:
    """Items [start, stop) of a split."""

    split: str
    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def file(self, folder: Path) -> Path:
        """Its codes, (stop - start, h, w)."""
        return folder / f"{self.split}-{self.number:05}.npy"

    def record(self, folder: Path) -> Path:
        """Its checksum and largest code."""
        return folder / f"{self.split}-{self.number:05}.json"


class ShardWriter:
    """The shards of a dataset in a folder.

    Args:
        data: the images; the held-out split is cached as it is evaluated.
        views: augmented views of each training image; 0 caches the images as they are evaluated.
        shard_size: items per shard.
        folder: where the shards go.
    """

    def __init__(self, data: ImageData, views: int, shard_size: int, folder: Path) -> None:
        self.data = data
        self.views = views
        self.shard_size = shard_size
        self.folder = folder

    def shards(self) -> list[Shard]:
        """All shards, finished or not."""
        sizes = {"train": len(self.data.train) * max(1, self.views), "test": len(self.data.test)}
        return [
            Shard(split, number, start, min(start + self.shard_size, total))
            for split, total in sizes.items()
            for number, start in enumerate(range(0, total, self.shard_size))
        ]

    def missing(self) -> list[Shard]:
        """The shards that are not finished."""
        return [shard for shard in self.shards() if _read_record(shard, self.folder) is None]

    def write(
        self, shard: Shard, encode: Encode, codebook_size: int, batch_size: int, workers: int, advance: Advance
    ) -> None:
        """Encodes a shard and writes it.

        Args:
            shard: one of `missing()`; no other process may write it at the same time.
            encode: images (B, 3, H, W) to codes (B, h, w).
            codebook_size: K, which sets the bytes per code.
            batch_size: images encoded at once.
            workers: processes that decode images.
            advance: called with the number of images after each batch.
        """
        images = self.data.splits()[shard.split]
        loader = DataLoader(
            images, batch_size, sampler=list(self._keys(shard, images)), num_workers=workers if images.decodes else 0
        )
        parts = []
        for batch, _ in loader:
            parts.append(encode(batch).cpu().numpy())
            advance(len(batch))
        codes = np.concatenate(parts)
        file = shard.file(self.folder)
        _write(file, lambda temporary: _save(temporary, codes.astype(code_type(codebook_size))))
        record = json.dumps({"sha256": file_sha256(file), "largest_code": int(codes.max())})
        _write(shard.record(self.folder), lambda temporary: temporary.write_text(record, encoding="utf-8"))

    def finish(self) -> Mapping[str, Any]:
        """Writes the labels of both splits; returns the grid, the views and the largest code of the shards."""
        for temporary in self.folder.glob("*.tmp"):  # left by a killed process
            temporary.unlink()
        for split, images in self.data.splits().items():
            np.save(self.folder / f"{split}_labels.npy", images.labels.numpy())
        records = [_read_record(shard, self.folder) or {} for shard in self.shards()]
        first = np.load(self.shards()[0].file(self.folder), mmap_mode="r")
        largest = max(record["largest_code"] for record in records)
        return {"grid": list(first.shape[1:]), "views": self.views, "largest_code": largest, "dtype": first.dtype.name}

    def _keys(self, shard: Shard, images: Images) -> Iterator[Key]:
        plain = shard.split == "test" or self.views == 0
        for item in range(shard.start, shard.stop):
            view, index = divmod(item, len(images))
            yield index if plain else (index, view)


def code_type(codebook_size: int) -> np.dtype[Any]:
    """The type of codes on disk."""
    return np.dtype(np.uint16 if codebook_size <= 2**16 else np.int32)


def _read_record(shard: Shard, folder: Path) -> dict[str, Any] | None:
    """The record of a finished shard, or None."""
    try:
        record = json.loads(shard.record(folder).read_text(encoding="utf-8"))
        return record if record["sha256"] == file_sha256(shard.file(folder)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(path: Path, codes: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, codes)
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    write(temporary)
    temporary.replace(path)
