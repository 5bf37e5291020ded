"""Checkpoints on disk: written atomically, and read without unpickling anything but tensors and plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from maskgit_lab.errors import UserError
from maskgit_lab.nets.checkpoints import read_checkpoint, seal
from maskgit_lab.runs.names import LAST


class WholeCheckpoints(TorchCheckpointIO):
    """Writes to a temporary file and renames it, so that a killed run keeps its previous checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Saves a checkpoint atomically."""
        temporary = Path(f"{path}.partial")
        super().save_checkpoint(checkpoint, temporary, storage_options)
        seal(temporary)
        temporary.replace(path)


def saving(folder: Path, every_epochs: int) -> Callback:
    """A callback that keeps `last.ckpt` in a folder."""
    return ModelCheckpoint(
        folder,
        LAST.removesuffix(".ckpt"),
        every_n_epochs=every_epochs,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )


def check_fits(own: Mapping[str, Any], path: Path) -> None:
    """Raises a `UserError` unless a checkpoint has a state dict with the names and shapes of `own`."""
    state = read_checkpoint(path)["state_dict"]
    shapes = {name: getattr(value, "shape", None) for name, value in state.items()}
    if shapes != {name: value.shape for name, value in own.items()}:
        raise UserError(f"the checkpoint {path} belongs to another network: delete it and run the same command again")
