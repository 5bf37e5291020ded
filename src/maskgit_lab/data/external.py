"""External images, all of one size, in a folder or an .npz file: samples of another model, or a reference.

Shapes: n images, H x W pixels.
"""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from maskgit_lab.data.pictures import PictureFiles
from maskgit_lab.data.source import Images, Key, Unreadable
from maskgit_lab.data.walking import images_below
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.paths import check_regular

IMAGES, LABELS = "arr_0", "arr_1"  # of ADM's sample files: uint8 (n, H, W, 3), and the classes if it has them
GRID = "grid.png"  # an overview that `sample.py` draws of the images in a folder, and is not one of them
OVERVIEW = {"Source": "maskgit_lab: an overview of images"}  # written in it


class ExternalImages(Images, ABC):
    """Images without augmented views; without classes, all have class 0."""

    title: str  # their name in results
    size: tuple[int, int]  # height and width in pixels
    classes: np.ndarray | None = None  # (n,) int64, if the images have classes

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the images."""

    def subset(self, indices: Sequence[int]) -> Images:
        return Chosen(self, indices)


class FolderImages(ExternalImages):
    """All images below a folder, in the order of their names, but for the grid that `sample.py` draws of them.

    Raises:
        UserError: there are none, or they differ in size.
    """

    decodes: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        found = [path for path in sorted(*images_below([folder])) if not _is_overview(Path(path), folder)]
        if not found:
            raise UserError(f"{folder} has no images: give a folder that has ({', '.join(IMG_EXTENSIONS)})")
        self.title = folder.name
        self.pictures = PictureFiles(folder, [(path, 0) for path in found])
        self.labels = self.pictures.labels
        self.size = self._one_size([Path(path) for path in found])

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        index = key if isinstance(key, int) else key[0]
        try:
            return TF.pil_to_tensor(self.pictures.load(index)) / 255, self.labels[index]
        except Unreadable as error:
            raise UserError(f"{error}: fix or delete it") from error

    def fingerprint(self) -> str:
        return self.pictures.fingerprint()

    @staticmethod
    def _one_size(paths: list[Path]) -> tuple[int, int]:
        first: tuple[Path, tuple[int, int]] | None = None
        for path in paths:
            try:
                check_regular(path)
                with Image.open(path) as picture:
                    size = picture.size
            except Exception as error:  # Pillow raises almost anything on a damaged file
                raise UserError(f"the image {path} cannot be read ({first_line(error)}): fix or delete it") from error
            first = first or (path, size)
            if size != first[1]:
                raise UserError(
                    f"{path} has {size[0]} x {size[1]} pixels, but {first[0]} has {first[1][0]} x {first[1][1]}: "
                    "give images of one size"
                )
        assert first is not None
        return first[1][1], first[1][0]


def _is_overview(path: Path, folder: Path) -> bool:
    """Whether a file is the grid that this suite drew of the images in a folder, by what is written in it."""
    if path != folder / GRID or not path.is_file():
        return False
    try:
        with Image.open(path) as picture:
            return picture.info.items() >= OVERVIEW.items()
    except Exception:  # it is damaged, which is found where it is read as an image
        return False


class ArrayImages(ExternalImages):
    """The images of an .npz file in ADM's format: `arr_0` of shape (n, H, W, 3), uint8 or floats in [0, 1].

    Raises:
        UserError: the file is damaged, or its images have another shape or type, are out of range or contain NaN.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.title = path, path.name
        self.array, self.classes = _read(path)
        if self.array.ndim != 4 or self.array.shape[3] != 3 or not self.array.size:
            raise UserError(
                f"{path} has {IMAGES} of shape {self.array.shape}: give images as uint8 of shape (n, height, width, 3)"
            )
        if self.array.dtype != np.uint8:
            self.array = _as_uint8(self.array, path)
        self.labels = torch.zeros(len(self.array), dtype=torch.int64)
        if self.classes is not None:
            self.labels = torch.from_numpy(self.classes)
        self.size = self.array.shape[1], self.array.shape[2]

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        index = key if isinstance(key, int) else key[0]
        image = torch.from_numpy(np.array(self.array[index]))
        return image.permute(2, 0, 1) / 255, self.labels[index]

    def fingerprint(self) -> str:
        return file_sha256(self.path)


class Chosen(Images):
    """Some of the images of another dataset."""

    def __init__(self, images: Images, indices: Sequence[int]) -> None:
        self.images = images
        self.indices = list(indices)
        self.labels = images.labels[self.indices]
        self.decodes = images.decodes  # type: ignore[misc]

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        index, view = key if isinstance(key, tuple) else (key, None)
        return self.images[self.indices[index] if view is None else (self.indices[index], view)]

    def subset(self, indices: Sequence[int]) -> Images:
        return Chosen(self.images, [self.indices[i] for i in indices])


def open_images(path: Path, key: str) -> ExternalImages:
    """The images of a folder or of an .npz file.

    Args:
        path: where they are.
        key: the setting that gives the path, for errors.

    Raises:
        UserError: the path does not exist, or its images cannot be used.
    """
    if path.is_dir():
        return FolderImages(path.resolve())
    if path.suffix == ".npz" and path.is_file():
        return ArrayImages(path)
    if not path.exists():
        raise UserError(f"{key}={path} does not exist: give a folder of images, or an .npz file with {IMAGES}")
    raise UserError(f"{key}={path} is neither a folder nor an .npz file: give images in one of these formats")


def holds_images(path: Path) -> bool:
    """Whether a valid .npz file has images, and not only statistics."""
    with np.load(path, allow_pickle=False) as file:
        return IMAGES in file.files


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """The images, and their classes if there is an integer for each."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if IMAGES not in file.files:
                raise UserError(f"{path} has no array {IMAGES}: give an .npz file in the format of ADM's samples")
            mapped = _mapped(path)
            images = file[IMAGES] if mapped is None else mapped
            labels = file[LABELS] if LABELS in file.files else None
    except UserError:
        raise
    except Exception as error:  # numpy and zipfile raise almost anything on a damaged file
        raise UserError(f"{path} is not a valid .npz file ({first_line(error)}): give another") from error
    whole = labels is not None and labels.shape == images.shape[:1] and np.issubdtype(labels.dtype, np.integer)
    return images, labels.astype(np.int64) if whole and labels is not None else None


def _mapped(path: Path) -> np.ndarray | None:
    """A memory map of the images in the file, so that 50,000 need no memory; None if they are compressed."""
    name = f"{IMAGES}.npy"
    with zipfile.ZipFile(path) as archive, archive.open(name) as member:
        info = archive.getinfo(name)
        version = np.lib.format.read_magic(member)
        if info.compress_type != zipfile.ZIP_STORED or version != (1, 0):
            return None
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        header = member.tell()
        if fortran or dtype.hasobject:
            return None
        while member.read(2**20):  # to the end, where the checksum is compared
            pass
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)  # a header ends with the lengths of name and extra fields
        lengths = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
    return np.memmap(path, dtype, "r", info.header_offset + 30 + lengths + header, shape)


def _as_uint8(array: np.ndarray, path: Path) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{path} has images of type {array.dtype}: give uint8, or floats in [0, 1]")
    images: Any = np.empty(array.shape, np.uint8)
    for i, image in enumerate(array):
        if not np.isfinite(image).all():
            raise UserError(f"{path} contains NaN or infinite values in image {i}: give finite values")
        if image.min() < 0 or image.max() > 1:
            raise UserError(
                f"{path} has floats from {image.min():.3g} to {image.max():.3g} in image {i}: give uint8, or floats "
                "in [0, 1]"
            )
        images[i] = np.rint(image * 255)
    return images
