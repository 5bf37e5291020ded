"""Batches for training: one LightningDataModule for images and for tokens alike."""

from __future__ import annotations

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, DistributedSampler, Sampler

from maskgit_lab.data.source import Labelled


class SeededData(LightningDataModule):
    """Shuffles by (seed, epoch) alone, so that a resumed run sees the batches of an uninterrupted one."""

    def __init__(self, train: Labelled, val: Labelled, batch_size: int, seed: int) -> None:
        super().__init__()
        self.train = train
        self.val = val
        self.batch_size = batch_size
        self.seed = seed

    def train_dataloader(self) -> DataLoader[object]:
        """Shuffled; Lightning tells the sampler the epoch."""
        assert self.trainer is not None
        sampler: Sampler[int] = DistributedSampler(
            self.train, self.trainer.world_size, self.trainer.global_rank, shuffle=True, seed=self.seed
        )
        return DataLoader(self.train, self.batch_size, sampler=sampler)

    def val_dataloader(self) -> DataLoader[object]:
        """In order, and in larger batches, since nothing is kept for gradients."""
        return DataLoader(self.val, 4 * self.batch_size)
