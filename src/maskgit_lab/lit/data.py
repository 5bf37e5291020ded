"""Batches for training: one LightningDataModule for both images and tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

from maskgit_lab import lifeline
from maskgit_lab.data.source import Labelled
from maskgit_lab.lit.parts import Part, positions

VAL_BATCHES = 4  # how many times larger the batches of a validation are, since no gradients are needed


class SeededData(LightningDataModule):
    """The order depends only on (seed, epoch), so that a resumed run sees the batches of an uninterrupted one.

    Args:
        train: items to train on; each epoch takes the next view of each.
        val: items to validate on.
        batch_size: items per batch on one device.
        seed: of the order.
        workers: processes that load items, if the items have to be decoded.
    """

    def __init__(self, train: Labelled, val: Labelled, batch_size: int, seed: int, workers: int = 0) -> None:
        super().__init__()
        self.train = train
        self.val = val
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers

    def train_dataloader(self) -> DataLoader[object]:
        """Shuffled; Lightning sets the sampler's epoch. The first items, without augmentation, when overfitting."""
        assert self.trainer is not None
        if self.trainer.overfit_batches:  # type: ignore[attr-defined]
            return self._loader(self.train, self.batch_size, _InOrder(self.train, self._positions()))
        sampler = _Epochs(self.train, self._positions(), self.seed, self._begun)
        return self._loader(self.train, self.batch_size, sampler)

    def val_dataloader(self) -> DataLoader[object]:
        """In order, split over the processes."""
        assert self.trainer is not None
        share = range(self.trainer.global_rank, len(self.val), self.trainer.world_size)
        return self._loader(self.val, VAL_BATCHES * self.batch_size, _InOrder(self.val, share))

    def part(self, batch: int, accumulate: int) -> Part:
        """The part of a step that a batch of this process is, by its number in the epoch."""
        trainer = self.trainer
        assert trainer is not None
        place = trainer.world_size, trainer.global_rank, batch, int(trainer.num_training_batches)
        return Part.of_step(len(self.train), self.batch_size, accumulate, *place)

    def val_part(self, batch: int, accumulate: int) -> tuple[int, Part]:
        """Where a batch of a validation lies: images that share their random numbers, by number, and its part of them.

        They are as many as one process without accumulated batches sees at once.
        """
        trainer = self.trainer
        assert trainer is not None
        together = VAL_BATCHES * self.batch_size * trainer.world_size
        shared = together * accumulate
        number, first = divmod(batch * together, shared)
        size = min(shared, len(self.val) - number * shared)
        rows = range(first + trainer.global_rank, min(first + together, size), trainer.world_size)
        return number, Part(size, rows)

    def _begun(self) -> int:
        assert self.trainer is not None
        return self.trainer.fit_loop.epoch_loop.batch_progress.current.ready * self.batch_size

    def _positions(self) -> Sequence[int]:
        assert self.trainer is not None
        return positions(len(self.train), self.batch_size, self.trainer.world_size, self.trainer.global_rank)

    def _loader(self, items: Labelled, batch_size: int, sampler: object) -> DataLoader[object]:
        workers = self.workers if items.decodes else 0
        return _Lazy(
            items,
            batch_size,
            sampler=sampler,  # type: ignore[arg-type]
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=lifeline.end_worker_with_parent,
        )


class _Lazy(DataLoader[object]):
    """Begins an epoch when its first batch is asked for.

    Lightning wants the iterator before it knows in which epoch a resumed training is; with processes that load ahead,
    the first batches would be those of the first epoch.
    """

    def __iter__(self) -> Iterator[object]:  # type: ignore[override]
        yield from super().__iter__()


class _InOrder(SequentialSampler):
    """What one process sees of some items, in order; of this type, so that Lightning leaves it when overfitting."""

    def __init__(self, items: Labelled, share: Sequence[int]) -> None:
        super().__init__(items)
        self.share = share

    def __iter__(self) -> Iterator[int]:
        return iter(self.share)

    def __len__(self) -> int:
        return len(self.share)


class _Epochs(DistributedSampler[Any]):
    """What one process sees of each epoch's order: keys (item, epoch), so that each trains on a view of its own.

    Args:
        items: all of them.
        share: the places of this process's items in the order.
        seed: of the order.
        begun: how many items of this process an epoch that was begun before has seen; it goes on after them.
    """

    def __init__(self, items: Labelled, share: Sequence[int], seed: int, begun: Callable[[], int]) -> None:
        super().__init__(items, num_replicas=1, rank=0, shuffle=True, seed=seed)  # the order of all items
        self.share = share
        self.begun = begun

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = list(super().__iter__())
        for position in islice(self.share, self.begun(), None):
            yield order[position], self.epoch

    def __len__(self) -> int:
        return len(self.share)
