"""Image datasets with one folder per class: any such folder, ImageNet, Places365, CIFAR-10."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

from sklearn.model_selection import train_test_split
from torchvision import datasets
from torchvision.datasets.folder import IMG_EXTENSIONS

from maskgit_lab.data.pictures import PictureArrays, PictureFiles, Pictures
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.views import Framing, Views
from maskgit_lab.data.walking import folders_in, images_below
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.objects import checked_arguments
from maskgit_lab.paths import path_of

HELD_OUT = ("val", "valid", "validation", "test")
IMAGENET_CLASSES = 1000
FEWEST = 2  # images of a split, since one has no covariance


def framed(name: str, train: Views, test: Views, class_names: list[str], max_unreadable: int) -> ImageData:
    """Two splits as `ImageData`.

    Raises:
        UserError: a split without images, or fewer than two classes.
    """
    for split, views in (("training", train), ("held-out", test)):
        if len(views) < FEWEST:
            raise UserError(f"the dataset {name} has {len(views)} {split} images: give at least {FEWEST}")
    if len(class_names) < 2:
        raise UserError(f"the dataset {name} has only one class ({class_names[0]}): put each class in its own folder")
    if max_unreadable < 0:
        raise UserError(f"data.max_unreadable={max_unreadable} is not possible: give 0 or more")
    identity = fingerprint({"train": train.identity(), "test": test.identity(), "classes": class_names})
    frame = train.framing
    return ImageData(name, train, test, class_names, frame.size, identity, max_unreadable, frame.flip)


def image_folder(
    root: str, name: str = "image_folder", test_fraction: float = 0.1, max_unreadable: int = 10, **framing: Any
) -> ImageData:
    """A folder with one folder of images per class, or with `train/` and `val/` (or `test/`) folders of that form.

    Args:
        root: the folder.
        name: of the dataset, in results.
        test_fraction: fraction of the images to hold out if there is no split, in (0, 1).
        max_unreadable: up to this many unreadable images are left out; with more the run stops.
        framing: see `Framing`.

    Raises:
        UserError: no such folder, no images, one class, or values out of range.
    """
    frame, folder = framing_of(framing), _existing(root)
    if (folder / "train").is_dir():
        train, test, classes = _split_folders(folder)
        return framed(name, Views(train, frame), Views(test, frame), classes, max_unreadable)
    if not 0 < test_fraction < 1:
        raise UserError(f"data.test_fraction={test_fraction} is not possible: give a fraction between 0 and 1")
    pictures, classes = _class_folders(folder)
    n_images = len(pictures.labels)
    if n_images < 2 * FEWEST:
        raise UserError(f"data.root={root} has only {n_images} images: give at least {2 * FEWEST}")
    n_test = min(max(FEWEST, round(test_fraction * n_images)), n_images - FEWEST)
    parts = train_test_split(range(n_images), test_size=n_test, random_state=frame.seed)
    train_views, test_views = (Views(pictures, frame, sorted(part)) for part in parts)
    return framed(name, train_views, test_views, classes, max_unreadable)


def imagenet(root: str, max_unreadable: int = 10, **framing: Any) -> ImageData:
    """ImageNet (ILSVRC 2012) in its official layout: `train/` and `val/`, each with 1,000 class folders.

    Raises:
        UserError: the folders do not exist, or do not have 1,000 classes.
    """
    frame = framing_of(framing)
    train, test, classes = _split_folders(_existing(root))
    if len(classes) != IMAGENET_CLASSES:
        raise UserError(
            f"data.root={root} has {len(classes)} classes, but ImageNet has {IMAGENET_CLASSES}: "
            "give its folder, or use data=image_folder for a part of it"
        )
    return framed("imagenet", Views(train, frame), Views(test, frame), classes, max_unreadable)


def places365(root: str, small: bool = False, max_unreadable: int = 10, **framing: Any) -> ImageData:
    """Places365-Standard as torchvision reads it; Places2 in the paper.

    Args:
        root: the folder with its file lists and images.
        small: whether to read the 256 x 256 images instead of the large ones.
        max_unreadable: as in `image_folder`.
        framing: see `Framing`.

    Raises:
        UserError: its file lists or its images do not exist.
    """
    frame, folder = framing_of(framing), _existing(root)
    try:
        splits = [datasets.Places365(folder, split, small=small) for split in ("train-standard", "val")]
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"data.root={root} does not have torchvision's layout of Places365 ({first_line(error)}): "
            "create it with torchvision.datasets.Places365(root, download=True)"
        ) from error
    train, test = (Views(PictureFiles(folder, split.imgs), frame) for split in splits)
    return framed("places365", train, test, list(splits[0].classes), max_unreadable)


def cifar10(root: str, max_unreadable: int = 10, **framing: Any) -> ImageData:
    """CIFAR-10: `train/` and `test/` with one folder per class, or torchvision's batches, downloaded if absent.

    Raises:
        UserError: neither exists, and it cannot be downloaded.
    """
    frame, folder = framing_of(framing), path_of(root, "data.root")
    if (folder / "train").is_dir():
        train, test, classes = _split_folders(folder)
        return framed("cifar10", Views(train, frame), Views(test, frame), classes, max_unreadable)
    try:
        splits = [datasets.CIFAR10(folder, train=is_train, download=True) for is_train in (True, False)]
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"there is no CIFAR-10 in data.root={root} and it cannot be downloaded ({first_line(error)}): give a "
            "folder with train/CLASS/*.png and test/CLASS/*.png, or with torchvision's cifar-10-batches-py"
        ) from error
    train_views, test_views = (Views(PictureArrays(split.data, split.targets), frame) for split in splits)
    return framed("cifar10", train_views, test_views, list(splits[0].classes), max_unreadable)


def framing_of(settings: dict[str, Any]) -> Framing:
    """A `Framing` from a config's values.

    Raises:
        UserError: values of another type, or out of range.
    """
    settings = checked_arguments(Framing, settings, "data")
    scale, ratio = settings.get("crop_scale"), settings.get("crop_ratio", 1)
    given = {"crop_scale": None if scale is None else _numbers("crop_scale", scale)}
    ratios = ratio if isinstance(ratio, Sequence) else (ratio, ratio)
    return Framing(**settings | given | {"crop_ratio": _numbers("crop_ratio", ratios)})


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, Sequence) or not all(type(value) in (int, float) for value in values):
        raise UserError(f"data.{name}={values} is not possible: give two numbers, such as [0.8,1.0]")
    return tuple(float(value) for value in values)


def _existing(root: str) -> Path:
    folder = path_of(root, "data.root")
    if not folder.is_dir():
        raise UserError(f"data.root={root} is not a folder: give the folder of the images")
    return folder.resolve()


def _split_folders(root: Path) -> tuple[Pictures, Pictures, list[str]]:
    held_out = next((name for name in HELD_OUT if (root / name).is_dir()), None)
    if not (root / "train").is_dir() or held_out is None:
        raise UserError(f"{root} has no train/ and val/ (or test/) folders: give the folder that has them")
    folders = root / "train", root / held_out
    train, classes = _class_folders(folders[0], folders)
    test, test_classes = _class_folders(folders[1], folders, trains=False)
    if classes != test_classes:
        odd = min(set(classes) ^ set(test_classes))
        raise UserError(f"{root} has different classes in train/ and {held_out}/ (such as {odd}): make them the same")
    return train, test, classes


def _class_folders(root: Path, splits: Sequence[Path] = (), *, trains: bool = True) -> tuple[PictureFiles, list[str]]:
    """The images of the folders in a folder, and the names of these folders; links do not lead into other splits.

    Raises:
        UserError: there are none; or a class has no images and `trains`, so that nothing could learn it.
    """
    classes = folders_in(root)
    if not classes:
        raise UserError(f"{root} has no class folders: give a folder with one folder of images per class")
    for name in classes:
        _check_name(root, name)
    found = images_below([root / name for name in classes], apart=[*splits, *_in_all(splits)])
    if not any(found):
        raise UserError(f"{root} has no images in its class folders: give one that has ({', '.join(IMG_EXTENSIONS)})")
    if trains and not all(found):
        empty = next(name for name, paths in zip(classes, found, strict=True) if not paths)
        raise UserError(f"the class folder {empty} in {root} has no images: add some, or move the folder away")
    return PictureFiles(root, [(path, label) for label, paths in enumerate(found) for path in paths]), classes


def _in_all(folders: Sequence[Path]) -> list[Path]:
    return [folder / name for folder in folders for name in folders_in(folder)]


def _check_name(root: Path, name: str) -> None:
    """Raises a `UserError` for a class whose name no text can have, in which all that is written later names it."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode(errors="backslashreplace")
        raise UserError(f"the class folder {shown} in {root} has a name that is not UTF-8: rename it") from error
