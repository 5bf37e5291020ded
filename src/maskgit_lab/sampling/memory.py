"""Work on images in parts that fit the memory of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import SupportsInt, TypeVar

import torch

from maskgit_lab.errors import UserError

T = TypeVar("T")


def in_batches(
    work: Callable[[range], T], count: int, batch_size: SupportsInt, advance: Callable[[int], None] = lambda _: None
) -> list[T]:
    """What work gives for each batch, in parts that fit the memory of a GPU.

    Args:
        work: is called with the numbers of the images that it shall work on.
        count: of all images.
        batch_size: images worked on at once, if they fit.
        advance: called with the number of images after each batch.

    Raises:
        UserError: a single image does not fit, or the batch size is not possible.
    """
    if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or batch_size < 1:
        raise UserError(f"batch_size={batch_size!r} is not possible: give a whole number of at least 1")
    parts: list[T] = []
    step = int(batch_size)
    for start in range(0, count, step):
        batch = range(start, min(start + step, count))
        parts += in_parts_that_fit(work, batch)
        advance(len(batch))
    return parts


def in_parts_that_fit(work: Callable[[range], T], batch: range) -> list[T]:
    """What work gives for a batch: for all of it, or for halves of it where a GPU runs out of memory.

    Args:
        work: is called with the numbers of the images that it shall work on.
        batch: the numbers of all images.

    Raises:
        UserError: a single image does not fit.
    """
    try:
        return [work(batch)]
    except torch.OutOfMemoryError as error:
        if len(batch) == 1:
            raise UserError("a single image does not fit in the GPU's memory: use a larger GPU, or the CPU") from error
    torch.cuda.empty_cache()
    middle = batch.start + len(batch) // 2
    return in_parts_that_fit(work, range(batch.start, middle)) + in_parts_that_fit(work, range(middle, batch.stop))
