"""Batches for training: one LightningDataModule for both images and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

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
        """Shuffled; Lightning sets the sampler's epoch. The first items, without augmentation, when overfitting."""
        assert self.trainer is not None
        if self.trainer.overfit_batches:  # type: ignore[attr-defined]
            return self._loader(self.train, self.batch_size, _Share(self.train, self.trainer))
        sampler = _Epochs(self.train, self.trainer.world_size, self.trainer.global_rank, shuffle=True, seed=self.seed)
        return self._loader(self.train, self.batch_size, sampler)

    def val_dataloader(self) -> DataLoader[object]:
        """In order, split over the processes, and in larger batches, since no gradients are needed."""
        assert self.trainer is not None
        return self._loader(self.val, 4 * self.batch_size, _Share(self.val, self.trainer))

    def _loader(self, items: Labelled, batch_size: int, sampler: object) -> DataLoader[object]:
        workers = self.workers if items.decodes else 0
        return DataLoader(
            items,
            batch_size,
            sampler=sampler,  # type: ignore[arg-type]
            num_workers=workers,
            persistent_workers=workers > 0,
        )


class _Share(SequentialSampler):
    """What one process sees of some items, in order; of this type, so that Lightning leaves it when overfitting."""

    def __init__(self, items: Labelled, trainer: Trainer) -> None:
        super().__init__(items)
        self.share = range(trainer.global_rank, len(items), trainer.world_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.share)

    def __len__(self) -> int:
        return len(self.share)


class _Epochs(DistributedSampler[Any]):
    """Yields keys (item, epoch), so that each epoch trains on a view of its own."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for index in super().__iter__():
            yield index, self.epoch
