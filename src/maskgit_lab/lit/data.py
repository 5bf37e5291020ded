"""Batches for training: one LightningDataModule for both images and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from maskgit_lab.data.source import Labelled


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
        """Shuffled; Lightning sets the sampler's epoch."""
        assert self.trainer is not None
        sampler = _Epochs(self.train, self.trainer.world_size, self.trainer.global_rank, shuffle=True, seed=self.seed)
        return self._loader(self.train, self.batch_size, sampler)

    def val_dataloader(self) -> DataLoader[object]:
        """In order, split over the processes, and in larger batches, since no gradients are needed."""
        assert self.trainer is not None
        share = range(self.trainer.global_rank, len(self.val), self.trainer.world_size)
        return self._loader(self.val, 4 * self.batch_size, share)

    def _loader(self, items: Labelled, batch_size: int, sampler: object) -> DataLoader[object]:
        workers = self.workers if items.decodes else 0
        return DataLoader(
            items,
            batch_size,
            sampler=sampler,  # type: ignore[arg-type]
            num_workers=workers,
            persistent_workers=workers > 0,
        )


class _Epochs(DistributedSampler[Any]):
    """Yields keys (item, epoch), so that each epoch trains on a view of its own."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for index in super().__iter__():
            yield index, self.epoch
