"""The token cache: the codes of a whole dataset on disk, read through memory maps.

Shapes: n images, h x w tokens an image, N = h w.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maskgit_lab.data.source import Key, Labelled


class TokenDataset(Labelled):
    """Codes (N,) and class of each image, both int64, read from the memory maps of the shards.

    Successive epochs cycle through the cached views of an image.
    """

    def __init__(self, shards: list[np.ndarray], labels: Tensor) -> None:
        self.shards = shards
        self.labels = labels
        self.n_views = sum(len(shard) for shard in shards) // len(labels)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        index, view = key if isinstance(key, tuple) else (key, 0)
        position = (view % self.n_views) * len(self.labels) + index
        shard, row = divmod(position, len(self.shards[0]))  # all shards but the last have the same length
        codes_N = torch.from_numpy(self.shards[shard][row].astype(np.int64).reshape(-1))
        return codes_N, self.labels[index]


@dataclass(frozen=True)
class TokenCache:
    """The codes of both splits."""

    train: TokenDataset
    test: TokenDataset

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of an image in tokens."""
        height, width = self.train.shards[0].shape[1:]
        return height, width

    def check(self, n_train: int, n_test: int) -> None:
        """Raises a `ValueError` unless the shards have the codes of this many images, all of one shape."""
        for split, n_images in ((self.train, n_train), (self.test, n_test)):
            n_items, shapes = sum(map(len, split.shards)), {shard.shape[1:] for shard in split.shards}
            if len(split) != n_images or n_items != split.n_views * n_images or shapes != {self.grid}:
                raise ValueError(f"{n_items:,} grids for {n_images:,} images")

    @classmethod
    def open(cls, folder: Path) -> TokenCache:
        """Opens the shards in a folder without reading them into memory."""

        def read(split: str) -> TokenDataset:
            maps = [np.load(path, mmap_mode="r") for path in sorted(folder.glob(f"{split}-*.npy"))]
            return TokenDataset(maps, torch.from_numpy(np.load(folder / f"{split}_labels.npy")))

        return cls(read("train"), read("test"))
