"""The interface of every image dataset.

Shapes: n images, H x W pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint

Key = int | tuple[int, int]  # an image as it is evaluated, or (image, view): one of its augmented views


class Labelled(Dataset[tuple[Tensor, Tensor]], ABC):
    """Labelled items: `data[i]` as it is evaluated, `data[i, v]` its v-th augmented view, for v = 0, 1, 2, ...

    An item is an image, float (3, H, W) in [0, 1], or the codes (N,) of one, and its class, an int64 scalar. A view
    depends only on (i, v) and a seed.
    """

    labels: Tensor  # (n,) int64
    decodes: ClassVar[bool] = False  # whether items have to be decoded, which is worth worker processes

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        """An item."""


class Images(Labelled):
    """Labelled images, of which a subset can be taken."""

    @property
    def n_views(self) -> int:
        """How many augmented views of an image are worth keeping; 0: all are what evaluation sees."""
        return 0

    @abstractmethod
    def subset(self, indices: Sequence[int]) -> Images:
        """Only these images, in this order."""

    def name(self, index: int) -> str:
        """An image's name in messages."""
        return f"number {index}"

    def check(self, index: int) -> None:
        """Raises `Unreadable` unless an image can be read."""


class Unreadable(UserError):
    """An image that cannot be decoded."""


class InMemory(Images):
    """Images (n, 3, H, W), float in [0, 1] or uint8, which are the same in every view."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        index = key if isinstance(key, int) else key[0]
        image = self.images[index]
        return image / 255 if image.dtype == torch.uint8 else image, self.labels[index]

    def subset(self, indices: Sequence[int]) -> InMemory:
        return InMemory(self.images[list(indices)], self.labels[list(indices)])


@dataclass(frozen=True)
class ImageData:
    """A training and a held-out split of labelled images, float (3, size, size) in [0, 1]."""

    name: str
    train: Images
    test: Images
    class_names: Sequence[str]
    size: int  # height and width in pixels
    fingerprint: str  # of everything that the pixels and the labels depend on
    max_unreadable: int = 0  # up to this many unreadable images are left out
    flip: bool = False  # whether a mirrored image is as good as the image, in the training of a classifier too

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def take(self, count: int) -> ImageData:
        """At most `count` images of each split, spread evenly over it."""
        train, test = (split.subset(_spread(len(split), count)) for split in (self.train, self.test))
        return replace(self, train=train, test=test, fingerprint=self._derived(take=count))

    def without(self, unreadable: dict[str, list[int]]) -> ImageData:
        """The data without these images of each split; the same data if there are none."""
        if not any(unreadable.values()):
            return self
        train, test = (
            split.subset(sorted(set(range(len(split))) - set(unreadable[name])))
            for name, split in self.splits().items()
        )
        return replace(self, train=train, test=test, fingerprint=self._derived(without=unreadable))

    def splits(self) -> dict[str, Images]:
        """Both splits by name."""
        return {"train": self.train, "test": self.test}

    def _derived(self, **how: Any) -> str:
        return fingerprint({"of": self.fingerprint, **how})


def some_images(dataset: Labelled, count: int) -> Tensor:
    """At most `count` images, spread evenly over a dataset: (count, 3, H, W) in [0, 1]."""
    return torch.stack([dataset[i][0] for i in _spread(len(dataset), count)])


def as_many_of_each(labels: Tensor, wanted: Tensor) -> list[int]:
    """Images for a comparison with others: as many, and of each class as many, as far as there are.

    Where a class has too few, other classes make up for it, so that there are always min(n, number wanted).

    Args:
        labels: of the n images to choose from, (n,) int64.
        wanted: the classes of the others, (any number,) int64.

    Returns:
        The chosen images in ascending order, spread evenly over those of their class.
    """
    n_classes = 1 + int(max(labels.max(), wanted.max()))
    there, taken = torch.bincount(labels, minlength=n_classes), torch.bincount(wanted, minlength=n_classes)
    taken = taken.minimum(there)
    while (missing := min(len(labels), len(wanted)) - int(taken.sum())) > 0:
        room = (there > taken).nonzero()[:, 0]
        share = max(1, missing // len(room))
        room = room[:missing]
        taken[room] = (taken[room] + share).minimum(there[room])
    of_class = [(labels == c).nonzero()[:, 0] for c in range(n_classes)]
    return sorted(
        int(images[i]) for images, n in zip(of_class, taken, strict=True) for i in _spread(len(images), int(n))
    )


def _spread(n_items: int, count: int) -> list[int]:
    count = min(n_items, count)
    return [i * n_items // count for i in range(count)]
