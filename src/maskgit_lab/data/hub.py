"""Hugging Face datasets, from the hub or from local Parquet files; needs an optional extra of this package."""

from __future__ import annotations

from typing import Any

from maskgit_lab.data.folders import framed, framing_of
from maskgit_lab.data.pictures import PictureRows
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.views import Views
from maskgit_lab.errors import UserError, first_line, install


def huggingface(
    path: str,
    data_files: dict[str, str] | None = None,
    train_split: str = "train",
    test_split: str = "validation",
    image_column: str = "image",
    label_column: str = "label",
    max_unreadable: int = 10,
    **framing: Any,
) -> ImageData:
    """A dataset from the Hugging Face hub or from local files.

    Args:
        path: a dataset on the hub such as `imagenet-1k`, a local folder of one, or `parquet` with `data_files`.
        data_files: the files of each split, patterns allowed: `{train: "a/train-*.parquet", validation: ...}`.
        train_split: the split to train on.
        test_split: the held-out split.
        image_column: the column of the images.
        label_column: the column of the classes.
        max_unreadable: up to this many unreadable images are left out; with more the run stops.
        framing: see `Framing`.

    Raises:
        UserError: the library is not installed, or the data, a split or a column does not exist.
    """
    frame = framing_of(framing)
    splits = [_load(path, data_files, split) for split in (train_split, test_split)]
    for split in splits:
        if absent := [c for c in (image_column, label_column) if c not in split.column_names]:
            columns = ", ".join(split.column_names)
            raise UserError(f"the dataset {path} has no column {absent[0]}: choose one of {columns}")
    class_names = _class_names(splits, label_column)
    pictures = [_rows(split, image_column, label_column, class_names) for split in splits]
    train, test = (Views(each, frame) for each in pictures)
    return framed(path.rstrip("/").rpartition("/")[2], train, test, class_names, max_unreadable)


def _load(path: str, data_files: dict[str, str] | None, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise UserError(
            f"data=huggingface needs the datasets library: give {install('huggingface')} in the checkout"
        ) from error
    try:
        datasets.disable_progress_bars()
        return datasets.load_dataset(path, data_files=data_files, split=split)
    except Exception as error:  # from the library, the network or Arrow
        raise UserError(
            f"the split {split} of the dataset {path} cannot be loaded ({first_line(error)}): check data.path, "
            "data.data_files and the names of the splits"
        ) from error


def _class_names(splits: list[Any], column: str) -> list[str]:
    feature = splits[0].features[column]
    if hasattr(feature, "names"):
        return list(feature.names)
    return [str(value) for value in sorted(set().union(*(split.unique(column) for split in splits)))]


def _rows(split: Any, image_column: str, label_column: str, class_names: list[str]) -> PictureRows:
    import datasets

    labels = split[label_column][:]
    if not hasattr(split.features[label_column], "names"):
        numbers = {name: number for number, name in enumerate(class_names)}
        labels = [numbers[str(label)] for label in labels]
    return PictureRows(split.cast_column(image_column, datasets.Image(decode=False)), image_column, labels)
