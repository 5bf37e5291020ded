"""Checkpoints on disk: written atomically, and read without unpickling anything but tensors and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from maskgit_lab.errors import UserError
from maskgit_lab.nets.checkpoints import read_checkpoint, seal
from maskgit_lab.runs.names import LAST

STOPPED = "stopped"  # in a checkpoint: whether a callback has ended the training


class WholeCheckpoints(TorchCheckpointIO):
    """Writes to a temporary file and renames it, so that a killed run keeps its previous checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Saves a checkpoint atomically."""
        temporary = Path(f"{path}.partial")
        super().save_checkpoint(checkpoint, temporary, storage_options)
        seal(temporary)
        temporary.replace(path)


class LastCheckpoint(ModelCheckpoint):
    """Keeps `last.ckpt`, which also knows whether a callback has ended the training.

    Args:
        folder: where.
        every_epochs: how often.
        goes_on: whether the training goes on with that file, and then ends where it has ended.
    """

    def __init__(self, folder: Path, every_epochs: int, goes_on: bool) -> None:
        name = LAST.removesuffix(".ckpt")
        super().__init__(
            folder, name, every_n_epochs=every_epochs, enable_version_counter=False, save_on_train_epoch_end=True
        )
        self.goes_on = goes_on

    @property
    def state_key(self) -> str:
        """Of its own, so that a user's `ModelCheckpoint` may have the same settings."""
        return type(self).__qualname__

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[STOPPED] = trainer.should_stop

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        trainer.should_stop = self.goes_on and bool(checkpoint.get(STOPPED))


def check_fits(own: Mapping[str, Any], path: Path) -> None:
    """Raises a `UserError` unless a checkpoint has a state dict with the names and shapes of `own`."""
    state = read_checkpoint(path)["state_dict"]
    shapes = {name: getattr(value, "shape", None) for name, value in state.items()}
    if shapes != {name: value.shape for name, value in own.items()}:
        raise UserError(f"the checkpoint {path} belongs to another network: delete it and run the same command again")
