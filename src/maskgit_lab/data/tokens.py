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
from maskgit_lab.errors import UserError, first_line

SPLITS = ("train", "test")
CODES, LABELS = "codes", "labels"
CODE_TYPES = {torch.uint16, torch.int32}  # on disk
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

    def check(self) -> None:
        """Raises a `ValueError` unless both splits hold grids of integers, all of one shape, for their labels."""
        for split in (self.train, self.test):
            n_items, shapes = sum(map(len, split.shards)), {shard.shape[1:] for shard in split.shards}
            if not n_items or n_items != split.n_views * len(split) or shapes != {self.grid} or 0 in self.grid:
                raise ValueError(f"{n_items:,} grids for {len(split):,} images")
            kinds = {shard.dtype for shard in split.shards}
            if not kinds <= CODE_TYPES or split.labels.dtype != torch.int64 or split.labels.ndim != 1:
                raise ValueError("codes or labels that are no integers")

    def check_values(self, n_codes: int, n_classes: int) -> None:
        """Raises a `ValueError` unless all codes and labels are among so many."""
        for split in (self.train, self.test):
            if not 0 <= int(split.labels.min()) <= int(split.labels.max()) < n_classes:
                raise ValueError(f"labels that are not below {n_classes}")
            if not all(0 <= int(shard.int().min()) <= int(shard.int().max()) < n_codes for shard in split.shards):
                raise ValueError(f"codes that are not below {n_codes}")

    @classmethod
    def open(cls, folder: Path) -> TokenCache:
        """Opens what `shards_of` and `save_labels` left in a folder, without reading it into memory."""
        labels = load_file(folder / f"{LABELS}.safetensors")
        return cls(*(TokenDataset([s[CODES] for s in shards_of(folder, split, 0)], labels[split]) for split in SPLITS))


def open_codes(folder: Path, n_codes: int, n_classes: int, advice: str = "make it again") -> TokenCache:
    """Opens a token cache whose files may come from anywhere.

    Args:
        folder: of the cache.
        n_codes: of the tokenizer.
        n_classes: of the images.
        advice: what to do where it cannot be used, as the end of a sentence.

    Raises:
        UserError: it does not hold codes and labels of that many images, or of so many codes and classes.
    """
    try:
        cache = TokenCache.open(folder)
        cache.check()
        cache.check_values(n_codes, n_classes)
    except Exception as error:  # torch and safetensors raise almost anything on files that hold something else
        raise UserError(f"the token cache {folder} is damaged ({first_line(error)}): {advice}") from error
    return cache


def shards_of(folder: Path, split: str, n_items: int) -> Shards:
    """The shards of a split's codes."""
    return Shards(folder, n_items, f"{split}{SHARD}")


def code_type(codebook_size: int) -> torch.dtype:
    """The type that a code takes on disk."""
    return torch.uint16 if codebook_size <= 2**16 else torch.int32
