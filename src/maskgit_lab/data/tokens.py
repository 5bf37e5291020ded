"""The token cache: the codes of a whole data set on disk, read through memory maps.

Shapes: n images, h x w tokens an image, N = h w.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from maskgit_lab.data.shards import Shards
from maskgit_lab.data.source import Key, Labelled

SPLITS = ("train", "test")
CODES, LABELS = "codes", "labels"
SHARD = "-shard-"  # between the split and the items in the names of shards


class TokenDataset(Labelled):
    """Codes (N,) and class of each image, both int64, read from the memory maps of the shards.

    The cached views of an image follow each other from epoch to epoch, and begin again after the last.

    Args:
        shards: codes (items, h, w); item j of n images is view j // n of image j % n.
        labels: of the images.
    """

    def __init__(self, shards: Sequence[Tensor], labels: Tensor) -> None:
        self.shards = list(shards)
        self.labels = labels
        self.n_views = sum(len(shard) for shard in shards) // len(labels)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        index, view = key if isinstance(key, tuple) else (key, 0)
        position = (view % self.n_views) * len(self.labels) + index
        shard, row = divmod(position, len(self.shards[0]))  # all shards but the last are of one length
        return self.shards[shard][row].long().flatten(), self.labels[index]


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
        """Raises a `ValueError` unless the shards hold the codes of so many images, all of one shape."""
        for split, n_images in ((self.train, n_train), (self.test, n_test)):
            n_items, shapes = sum(map(len, split.shards)), {shard.shape[1:] for shard in split.shards}
            if len(split) != n_images or n_items != split.n_views * n_images or shapes != {self.grid}:
                raise ValueError(f"{n_items:,} grids for {n_images:,} images")

    @classmethod
    def open(cls, folder: Path) -> TokenCache:
        """Opens what `shards_of` and `save_labels` left in a folder, without reading it into memory."""
        labels = load_file(folder / f"{LABELS}.safetensors")
        return cls(*(TokenDataset([s[CODES] for s in shards_of(folder, split, 0)], labels[split]) for split in SPLITS))


def shards_of(folder: Path, split: str, n_items: int) -> Shards:
    """The shards of a split's codes."""
    return Shards(folder, n_items, f"{split}{SHARD}")


def code_type(codebook_size: int) -> torch.dtype:
    """The type that a code takes on disk."""
    return torch.uint16 if codebook_size <= 2**16 else torch.int32
