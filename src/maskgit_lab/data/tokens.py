"""The token cache: the codes of a whole data set on disk, read through memory maps.

Shapes: n images, h x w tokens an image, N = h w.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from maskgit_lab.data.source import ImageData, Labelled, n_items

SPLITS = ("train", "test")


class TokenDataset(Dataset[tuple[Tensor, Tensor]]):
    """Codes (N,) and class of each image, both int64, read from a memory map."""

    def __init__(self, codes_nhw: np.ndarray, labels_n: np.ndarray) -> None:
        self.codes_nhw = codes_nhw
        self.labels_n = labels_n

    def __len__(self) -> int:
        return len(self.labels_n)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        codes_N = torch.from_numpy(self.codes_nhw[index].astype(np.int64).reshape(-1))
        return codes_N, torch.tensor(int(self.labels_n[index]))


@dataclass(frozen=True)
class TokenCache:
    """The codes of both splits."""

    train: TokenDataset
    test: TokenDataset

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of an image in tokens."""
        height, width = self.train.codes_nhw.shape[1:]
        return height, width

    @classmethod
    def open(cls, folder: Path) -> TokenCache:
        """Opens what `write` left in a folder, without reading it into memory."""

        def read(split: str) -> TokenDataset:
            codes = np.load(folder / f"{split}_codes.npy", mmap_mode="r")
            return TokenDataset(codes, np.load(folder / f"{split}_labels.npy"))

        return cls(*(read(split) for split in SPLITS))


def write(
    data: ImageData,
    encode: Callable[[Tensor], Tensor],
    codebook_size: int,
    folder: Path,
    batch_size: int,
    advance: Callable[[int], None],
) -> Mapping[str, Any]:
    """Writes the codes and labels of both splits, a batch at a time.

    Args:
        data: the images.
        encode: images (B, 3, H, W) to codes (B, h, w).
        codebook_size: K; decides how many bytes a code takes.
        folder: where `<split>_codes.npy` and `<split>_labels.npy` go.
        batch_size: images encoded at once.
        advance: told the number of images after each batch.

    Returns:
        Shape and type of each split's codes.
    """
    dtype = np.dtype(np.uint16 if codebook_size <= 2**16 else np.int32)
    splits: dict[str, Labelled] = {"train": data.train, "test": data.test}
    return {
        name: _write_split(name, split, encode, dtype, folder, batch_size, advance) for name, split in splits.items()
    }


def _write_split(
    name: str,
    split: Labelled,
    encode: Callable[[Tensor], Tensor],
    dtype: np.dtype[Any],
    folder: Path,
    batch_size: int,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    codes_nhw, labels_n, done = None, np.empty(n_items(split), np.int64), 0
    for images, labels in DataLoader(split, batch_size):
        codes = encode(images).cpu().numpy()
        if codes_nhw is None:
            shape = (n_items(split), *codes.shape[1:])
            codes_nhw = np.lib.format.open_memmap(folder / f"{name}_codes.npy", "w+", dtype, shape)
        codes_nhw[done : done + len(codes)] = codes
        labels_n[done : done + len(codes)] = labels.numpy()
        done += len(codes)
        advance(len(codes))
    assert codes_nhw is not None, f"the {name} split has no images"
    codes_nhw.flush()
    np.save(folder / f"{name}_labels.npy", labels_n)
    return {"shape": list(codes_nhw.shape), "dtype": dtype.name}
