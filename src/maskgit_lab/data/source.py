"""What every image data set is to the rest of the suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

Labelled = Dataset[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class ImageData:
    """A training and a held-out split of labelled images.

    Their items are an image, float (3, size, size) in [0, 1], and its class, an int64 scalar.
    """

    name: str
    train: Labelled
    test: Labelled
    train_labels: Tensor  # (len(train),) int64
    class_names: Sequence[str]
    size: int  # height and width in pixels
    fingerprint: str  # of the pixels and the labels

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def n_items(dataset: Labelled) -> int:
    """Length of a data set, which torch's base class does not declare."""
    return len(dataset)  # type: ignore[arg-type]


def first_images(dataset: Labelled, count: int) -> Tensor:
    """The first images of a data set, at most `count`: (count, 3, H, W) in [0, 1]."""
    return torch.stack([dataset[i][0] for i in range(min(count, n_items(dataset)))])
