"""Pictures of any size, on disk or in memory, which are read as 8-bit RGB."""

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
from maskgit_lab.paths import check_regular

PROBE_SIZE = (64, 64)  # a JPEG is read whole but decoded at an eighth of its size, which is enough to find damage


class Pictures(ABC):
    """Pictures with their classes."""

    labels: Tensor  # (n,) int64

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the pictures."""

    @abstractmethod
    def load(self, index: int) -> Image.Image:
        """A picture in RGB.

        Raises:
            Unreadable: it is absent, truncated, or not a picture.
        """

    @abstractmethod
    def check(self, index: int) -> None:
        """Raises `Unreadable` unless a picture can be read."""

    def name(self, index: int) -> str:
        """A picture's name in messages."""
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
        """Does nothing: they are in memory."""


class EncodedPictures(Pictures):
    """Pictures encoded as PNG, JPEG or another format that Pillow reads."""

    @abstractmethod
    def source(self, index: int) -> Path | io.BytesIO:
        """The file or the bytes of a picture."""

    def load(self, index: int) -> Image.Image:
        return self._read(index, probe=False)

    def check(self, index: int) -> None:
        self._read(index, probe=True)

    def _read(self, index: int, probe: bool) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about odd metadata and very large pictures
                source = self.source(index)
                if isinstance(source, Path):
                    check_regular(source)
                with Image.open(source) as picture:
                    if probe:
                        picture.draft("RGB", PROBE_SIZE)
                    return to_rgb(picture)
        except Exception as error:  # Pillow raises almost anything on a damaged file
            raise Unreadable(f"the image {self.name(index)} cannot be read ({first_line(error)})") from error


class PictureFiles(EncodedPictures):
    """Pictures in files; the fingerprint covers their names, sizes and classes, but not their bytes."""

    def __init__(self, root: Path, samples: Sequence[tuple[str, int]]) -> None:
        self.root = root
        # One array of bytes: a million Python objects would be copied into every worker process.
        self.paths = np.array([os.fsencode(Path(path).relative_to(root)) for path, _ in samples])
        self.labels = torch.tensor([label for _, label in samples], dtype=torch.int64)

    def fingerprint(self) -> str:
        names = [os.fsdecode(path) for path in self.paths]
        sizes = [_size(self.root / name) for name in names]
        return fingerprint({"paths": names, "bytes": sizes, "labels": self.labels.tolist()})

    def source(self, index: int) -> Path:
        return self.root / os.fsdecode(self.paths[index])

    def name(self, index: int) -> str:
        return bytes(self.paths[index]).decode(errors="replace")  # for people: names need not be UTF-8


class PictureRows(EncodedPictures):
    """Pictures in the rows of a Hugging Face dataset, whose image column that library does not decode."""

    def __init__(self, rows: Any, column: str, labels: Sequence[int]) -> None:
        self.rows = rows
        self.column = column
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def fingerprint(self) -> str:
        # The library's own fingerprint changes from one build of its cache to the next: hash the rows' content.
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
    except OSError:  # a broken link, for example, which will be found unreadable
        return -1


def _digest(data: Any) -> str:
    return hashlib.sha256(memoryview(data)).hexdigest()
