"""Batches for training: one LightningDataModule for images and for tokens alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler

from maskgit_lab.data.source import Labelled


class SeededData(LightningDataModule):
    """Shuffles by (seed, epoch) alone, so that a resumed run sees the batches of an uninterrupted one.

    Args:
        train: items to train on; each epoch takes the next view of each.
        val: items to validate on.
        batch_size: items of a batch on one device.
        seed: of the order.
        workers: processes that prepare items, where that is worth it.
    """

    def __init__(self, train: Labelled, val: Labelled, batch_size: int, seed: int, workers: int = 0) -> None:
        super().__init__()
        self.train = train
        self.val = val
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers

    def train_dataloader(self) -> DataLoader[object]:
        """Shuffled; Lightning tells the sampler the epoch."""
        assert self.trainer is not None
        sampler = _Epochs(self.train, self.trainer.world_size, self.trainer.global_rank, shuffle=True, seed=self.seed)
        return self._loader(self.train, self.batch_size, sampler)

    def val_dataloader(self) -> DataLoader[object]:
        """In order, each process its share, and in larger batches, since nothing is kept for gradients."""
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
    """Keys (item, epoch): the view that an epoch trains on."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for index in super().__iter__():
            yield index, self.epoch
