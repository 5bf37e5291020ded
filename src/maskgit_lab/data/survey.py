"""Reads every image once, before anything is computed, to find the unreadable ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch.utils.data import DataLoader, Dataset

from maskgit_lab.data.source import ImageData, Images, Unreadable
from maskgit_lab.errors import UserError
from maskgit_lab.lifeline import end_worker_with_parent

CHUNK = 64
MOST_NAMED = 10


class _Probes(Dataset[int]):
    """Item i is i if image i cannot be read, and -1 if it can."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> int:
        try:
            self.images.check(index)
        except Unreadable:
            return index
        return -1


def find_unreadable(images: Images, workers: int, advance: Callable[[int], None]) -> list[int]:
    """The images of a split that cannot be read.

    Args:
        images: the split.
        workers: processes that read; 0 reads in this one.
        advance: called with the number of images after each batch.
    """
    found: list[int] = []
    batches: Iterable[list[int]] = DataLoader(
        _Probes(images), CHUNK, num_workers=workers, collate_fn=list, worker_init_fn=end_worker_with_parent
    )
    for batch in batches:
        found += [index for index in batch if index >= 0]
        advance(len(batch))
    return found


def names_of(data: ImageData, unreadable: dict[str, list[int]]) -> list[str]:
    """The names of the images that cannot be read, of both splits."""
    return [split.name(index) for name, split in data.splits().items() for index in unreadable[name]]


def check_limit(data: ImageData, names: list[str]) -> None:
    """Raises a `UserError` that names the unreadable images if there are more than the data's limit."""
    if len(names) > data.max_unreadable:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        total = sum(len(split) for split in data.splits().values())
        raise UserError(
            f"{len(names):,} of {total:,} images cannot be read, more than data.max_unreadable={data.max_unreadable}: "
            f"fix or delete {', '.join(names[:MOST_NAMED])}{more}, or raise that limit"
        )
