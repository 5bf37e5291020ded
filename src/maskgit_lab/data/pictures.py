"""Pictures of any size on disk or in memory, and how each is read as 8-bit RGB."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from maskgit_lab.data.source import Unreadable
from maskgit_lab.errors import first_line
from maskgit_lab.fingerprints import fingerprint

PROBE_SIZE = (64, 64)  # a JPEG is read whole but reconstructed at an eighth, which is enough to know that it is sound


class Pictures(ABC):
    """Pictures with their classes."""

    labels: Tensor  # (n,) int64

    @abstractmethod
    def fingerprint(self) -> str:
        """Of what the pictures are."""

    @abstractmethod
    def load(self, index: int) -> Image.Image:
        """A picture in RGB.

        Raises:
            Unreadable: it is absent, truncated, or no picture.
        """

    @abstractmethod
    def check(self, index: int) -> None:
        """Raises `Unreadable` unless a picture can be read."""

    def name(self, index: int) -> str:
        """What a user knows a picture by."""
        return f"number {index}"


class PictureArrays(Pictures):
    """Pictures of one size in memory, 8 bits (n, H, W, 3)."""

    def __init__(self, images: np.ndarray, labels: Sequence[int]) -> None:
        self.images = images
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def fingerprint(self) -> str:
        return fingerprint({"images": _digest(self.images), "labels": self.labels.tolist()})

    def load(self, index: int) -> Image.Image:
        return Image.fromarray(self.images[index])

    def check(self, index: int) -> None:
        """They have been read already."""


class EncodedPictures(Pictures):
    """Pictures in the bytes of PNG, JPEG and other formats that Pillow knows."""

    @abstractmethod
    def source(self, index: int) -> Path | io.BytesIO:
        """Where the bytes of a picture are."""

    def load(self, index: int) -> Image.Image:
        return self._read(index, probe=False)

    def check(self, index: int) -> None:
        self._read(index, probe=True)

    def _read(self, index: int, probe: bool) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Pillow's about odd metadata, and about very large pictures
                with Image.open(self.source(index)) as picture:
                    if probe:
                        picture.draft("RGB", PROBE_SIZE)
                    return to_rgb(picture)
        except Exception as error:  # what a damaged file makes Pillow raise is nearly anything
            raise Unreadable(f"the image {self.name(index)} cannot be read ({first_line(error)})") from error


class PictureFiles(EncodedPictures):
    """Pictures in files; the fingerprint is of their names, sizes and classes, not of their bytes."""

    def __init__(self, root: Path, samples: Sequence[tuple[str, int]]) -> None:
        self.root = root
        # One array of bytes: a million Python objects would be copied into every worker process.
        self.paths = np.array([os.fsencode(Path(path).relative_to(root)) for path, _ in samples])
        self.labels = torch.tensor([label for _, label in samples], dtype=torch.int64)

    def fingerprint(self) -> str:
        names = [self.name(index) for index in range(len(self.paths))]
        sizes = [_size(self.root / name) for name in names]
        return fingerprint({"paths": names, "bytes": sizes, "labels": self.labels.tolist()})

    def source(self, index: int) -> Path:
        return self.root / self.name(index)

    def name(self, index: int) -> str:
        return os.fsdecode(self.paths[index])


class PictureRows(EncodedPictures):
    """Pictures in the rows of a Hugging Face data set, whose image column is not decoded by that library."""

    def __init__(self, rows: Any, column: str, labels: Sequence[int]) -> None:
        self.rows = rows
        self.column = column
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def fingerprint(self) -> str:
        # The library's own fingerprint changes from one build of its cache to the next: hash what is in the rows.
        digest = fingerprint({"rows": [_digest(row[self.column]["bytes"] or b"") for row in self.rows]})
        return fingerprint({"images": digest, "labels": self.labels.tolist()})

    def source(self, index: int) -> Path | io.BytesIO:
        image = self.rows[index][self.column]
        return io.BytesIO(image["bytes"]) if image["bytes"] is not None else Path(image["path"])


def to_rgb(picture: Image.Image) -> Image.Image:
    """A picture of any mode in 8-bit RGB: the first frame, 16-bit values divided by 257, transparency dropped."""
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        return Image.fromarray((values.clip(0, 65535) / 257).round().astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nowhere, say: it is found unreadable when it is read
        return -1


def _digest(data: Any) -> str:
    return hashlib.sha256(memoryview(data)).hexdigest()
