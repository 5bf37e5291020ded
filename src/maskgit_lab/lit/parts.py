"""The parts of the batch of a step, so that any number of processes trains the same model within rounding.

The batch of a step is the same images in the same order for any number of processes and of accumulated batches. It is
cut into equal parts, one for each process and each batch that it accumulates; a part is the same images with the same
noise whichever process computes it. In the last step of an epoch, parts may be shorter or have no image at all; such a
part computes one image of the step again, which counts nothing, since every process has to take part in every step.

What is random is drawn for all images of the batch, and each part takes its rows. A loss that is a mean over images is
multiplied with `Part.factor`. A statistic of the batch is computed of all parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Part:
    """What one process sees at once of the images of a step, or of a validation."""

    size: int  # images of the whole
    rows: range  # of this part among them; empty where it only repeats an image
    number: int = 0  # among the parts
    n_parts: int = 1

    @classmethod
    def of_step(
        cls, n_images: int, batch_size: int, accumulate: int, n_processes: int, rank: int, batch: int, n_batches: int
    ) -> Part:
        """The part that is one batch of one process.

        Args:
            n_images: of an epoch.
            batch_size: images of a part.
            accumulate: batches of a process in a step.
            n_processes: that train together.
            rank: of the process.
            batch: its number in the epoch, from 0.
            n_batches: of a process in an epoch, which flags of the trainer may end early.
        """
        step, turn = divmod(batch, accumulate)
        n_parts, together = n_processes * accumulate, n_processes * batch_size
        start = step * accumulate * together
        size = min(n_images, n_batches * together, start + accumulate * together) - start
        number = turn * n_processes + rank
        first, end = (min(size, (number + further) * batch_size) for further in (0, 1))
        return cls(size, range(first, end), number, n_parts)

    @property
    def share(self) -> float:
        """Of the images of the step."""
        return len(self.rows) / self.size

    @property
    def factor(self) -> float:
        """Of a mean over the part's images, so that the mean over all parts is that over the images of the step.

        It is the mean over all parts that gradients are: DDP averages over processes, and accumulated batches count
        their number less.
        """
        return self.n_parts * self.share

    def of(self, drawn: Tensor) -> Tensor:
        """The rows of this part, of what was drawn for all images."""
        rows = self.rows or range(1)
        return drawn[rows.start : rows.stop : rows.step]


def positions(n_images: int, batch_size: int, n_processes: int, rank: int) -> Sequence[int]:
    """Which images of an epoch one process sees, batch by batch, by their place in the epoch's order.

    Where the last batch of a process has none, it sees the first of that step, so that all have as many batches.
    """
    if n_processes == 1:
        return range(n_images)
    found: list[int] = []
    for start in range(0, n_images, n_processes * batch_size):
        first = start + rank * batch_size
        found += range(first, min(first + batch_size, n_images)) or [start]
    return found
