"""Samples as files that other people's evaluators read."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from maskgit_lab.data.external import IMAGES, LABELS
from maskgit_lab.data.shards import Shards

FORMS = ("npz", "png")
TOKENS = "tokens"
MOST_BYTES = 200  # of a folder's name; file systems take 255


def save_samples(shards: Shards, labels: Tensor, class_names: Sequence[str], folder: Path, form: str) -> Path:
    """Writes the images of shards; returns where.

    Args:
        shards: with the images as `images`.
        labels: the class of each.
        class_names: of the folders.
        folder: of the files, made if it is absent.
        form: `npz`, ADM's sample file (`arr_0`: uint8, (n, H, W, 3); `arr_1`: classes), with the codes (n, N) as
            `tokens` where the shards have them, which those of edits do not; or `png`, a file for each.
    """
    path = saved_path(folder, form)
    temporary = path.with_name(f"{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    shutil.rmtree(path, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if form == "npz":
        _save_npz(shards, labels, temporary)
    else:
        _save_png(shards, labels, class_names, temporary)
    return temporary.replace(path)


def saved_path(folder: Path, form: str) -> Path:
    """Where samples of this form lie in a folder."""
    return folder / ("samples.npz" if form == "npz" else "png")


def folder_names(class_names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """The name of a folder for each class: the class's own where that is valid and unique, else its number.

    Names of classes come from files: one may not be valid for a folder, lead elsewhere, or belong to several classes.
    """
    names = list(class_names)

    def fine(name: str) -> bool:
        plain = re.fullmatch(r"\w[\w .,()'-]*", name) and len(name.encode()) < MOST_BYTES
        return bool(plain and not re.fullmatch(r"class_\d+", name)) and names.count(name) == 1 and name not in taken

    return [name if fine(name) else f"class_{number:04}" for number, name in enumerate(names)]


def _save_npz(shards: Shards, labels: Tensor, path: Path) -> None:
    """Shard after shard, so that the images need not be in memory together."""
    first = next(iter(shards))
    shape = (shards.count, *first["images"].shape[2:], first["images"].shape[1])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _write_array(
            archive,
            IMAGES,
            np.dtype(np.uint8),
            shape,
            lambda file: [file.write(shard["images"].permute(0, 2, 3, 1).numpy().tobytes()) for shard in shards],
        )
        arrays = {LABELS: labels.numpy()} | ({TOKENS: shards.array("tokens").numpy()} if "tokens" in first else {})
        for name, array in arrays.items():
            _write_array(archive, name, array.dtype, array.shape, partial(_write_bytes, array))


def _write_bytes(array: np.ndarray, file: Any) -> None:
    file.write(array.tobytes())


def _write_array(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], shape: Sequence[int], write: Callable[[Any], object]
) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)
        write(file)


def _save_png(shards: Shards, labels: Tensor, class_names: Sequence[str], folder: Path) -> None:
    names, number = folder_names(class_names), 0
    for shard in shards:
        for image in shard["images"]:
            place = folder / names[int(labels[number])]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{number:06}.png")
            number += 1
