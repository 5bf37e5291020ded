"""Checkpoints of a training on disk: when they are written, how, and which of them a training goes on with.

A checkpoint may stand in the middle of an epoch, at the end of a step. It is written beside its place, with a checksum,
and takes the place of the one before once it is on the disk; that one is kept too, until the training ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.signals import Signals
from maskgit_lab.nets.checkpoints import is_intact, read_checkpoint, seal, sync
from maskgit_lab.runs.names import LAST, PREVIOUS

STOPPED = "stopped"  # in a checkpoint: whether a callback has ended the training
ACCUMULATE = "accumulate"  # the batches of a step, in which Lightning counts the position in an epoch
STATE = ("optimizer_states", "lr_schedulers", "loops")  # what a checkpoint has besides weights
CHECKED_EVERY = 10  # batches on a GPU, where reading a number waits for all that is computed before it


class Diverged(Exception):
    """The loss of a training, or one of its weights, is not finite."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it, so that a killed run keeps the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Saves a checkpoint, whole and on the disk, or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.partial")
        try:
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
            seal(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(path.parent)


class LastCheckpoint(Checkpoint):
    """Keeps `last.ckpt`, with which a training that was interrupted goes on bit for bit.

    Args:
        folder: where.
        every_epochs: how often.
        every_minutes: how often besides, within an epoch.
        goes_on: whether the training goes on with that file, and then ends where it has ended.
        signals: that ask the training to end, which it does once it is saved.
    """

    def __init__(self, folder: Path, every_epochs: int, every_minutes: float, goes_on: bool, signals: Signals) -> None:
        self.path = folder / LAST
        self.every_epochs = every_epochs
        self.every_seconds = 60 * every_minutes
        self.goes_on = goes_on
        self.signals = signals
        self.saved_step: int | None = None  # None: nothing is saved
        self._diverged = False
        self._since = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Counts the minutes from here."""
        self.saved_step = step_of(trainer, pl_module) if self.goes_on else None
        self._since = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: object, batch_idx: int
    ) -> None:
        """Saves if it is time to, or a signal asks to end; the last batch of an epoch is left to its end.

        Raises:
            Diverged: the loss is not finite, or a weight is not that would be saved.
        """
        assert isinstance(pl_module, TrainedModule)
        loss = outputs["loss"] if outputs else None  # none of a batch that waits for the others of its step
        if loss is not None and (loss.device.type == "cpu" or batch_idx % CHECKED_EVERY == 0):
            self._diverged |= not bool(loss.isfinite())
        if pl_module.ends_step(batch_idx):
            self._settle(trainer, pl_module, can_save=not trainer.is_last_batch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves every few epochs, and if a signal asks to end."""
        self._settle(trainer, pl_module, must_save=(trainer.current_epoch + 1) % self.every_epochs == 0)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Ends a training that is asked to in the middle of a validation, which is not saved: it may take long.

        Several processes may have different numbers of these batches, and agree at the end of the epoch instead.
        """
        if trainer.state.fn == "fit" and trainer.world_size == 1 and self.signals.received:
            self.signals.deliver(self.signals.received)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[STOPPED] = trainer.should_stop
        checkpoint[ACCUMULATE] = _accumulated(pl_module)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Whether the training has ended.

        Raises:
            UserError: it was saved within an epoch whose steps have another size.
        """
        trainer.should_stop = self.goes_on and bool(checkpoint.get(STOPPED))
        before = checkpoint.get(ACCUMULATE, _accumulated(pl_module))
        if before != _accumulated(pl_module) and _is_within_epoch(checkpoint):
            raise UserError(
                f"the checkpoint was saved in the middle of an epoch with trainer.accumulate={before}: keep that value "
                "until the epoch ends"
            )

    def save(self, trainer: Trainer) -> None:
        """Saves now, and keeps the generation before; every process calls this.

        Raises:
            Diverged: a weight is not finite, so that the checkpoint before is worth more.
        """
        is_finite = all(map(_is_finite, trainer.lightning_module.state_dict().values()))
        if _agreed(trainer, [not is_finite])[0]:  # where weights are sharded, each process sees its own
            raise Diverged("a weight is not finite")
        if trainer.is_global_zero and self.path.exists():
            _keep(self.path)
        trainer.save_checkpoint(self.path)
        self.saved_step = step_of(trainer, trainer.lightning_module)
        self._since = time.monotonic()

    def _settle(
        self, trainer: Trainer, module: LightningModule, can_save: bool = True, must_save: bool = False
    ) -> None:
        """What the processes agree on at the end of a step: whether to stop, to save, and to end."""
        due = time.monotonic() - self._since >= self.every_seconds
        diverged, asked, is_due = _agreed(trainer, [self._diverged, self.signals.received, due])
        if diverged:
            raise Diverged("its loss is not finite")
        if can_save and (must_save or asked or is_due):
            self.save(trainer)
            if asked:
                self.signals.deliver(asked)


def step_of(trainer: Trainer, module: LightningModule) -> int:
    """The number of steps that a training has taken; optimisers that take turns share one."""
    assert isinstance(module, TrainedModule)
    return trainer.global_step // module.n_optimizers


def recovered(folder: Path, terminal: Terminal) -> bool:
    """Whether there is a `last.ckpt`; a damaged one gives way to the generation before, if that is intact.

    Args:
        folder: of the checkpoints; the main process alone calls this.
        terminal: shows a line where there was a damaged one.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if not previous.exists() or (last.exists() and is_intact(last)) or not is_intact(previous):
        return last.exists()
    if last.exists():
        terminal.note("resume", f"{last} is damaged (its checksum differs); continuing with the one before it")
    previous.replace(last)
    return True


def forget_previous(folder: Path) -> None:
    """Deletes the generation before, of a training that has ended."""
    (folder / PREVIOUS).unlink(missing_ok=True)


def check_fits(own: Mapping[str, Any], path: Path) -> None:
    """Raises a `UserError` unless a training of the state dict `own` can go on with a checkpoint."""
    checkpoint = read_checkpoint(path)
    shapes = {name: getattr(value, "shape", None) for name, value in checkpoint["state_dict"].items()}
    if shapes != {name: value.shape for name, value in own.items()}:
        raise UserError(f"the checkpoint {path} belongs to another network: delete it and run the same command again")
    if absent := [key for key in STATE if not checkpoint.get(key)]:
        raise UserError(
            f"the checkpoint {path} has no training state ({absent[0]} is missing): restore a complete copy, or start "
            "from its weights with ckpt_path and ckpt_mode=weights"
        )


def _keep(path: Path) -> None:
    """Makes a checkpoint the generation before, without a moment in which there is none."""
    previous = path.with_name(PREVIOUS)
    previous.unlink(missing_ok=True)
    try:
        os.link(path, previous)
    except OSError:  # a disk without links
        path.replace(previous)


def _accumulated(module: LightningModule) -> int:
    assert isinstance(module, TrainedModule)
    return module.accumulate


def _is_within_epoch(checkpoint: Mapping[str, Any]) -> bool:
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    return bool(epochs["processed"] < epochs["started"])


def _agreed(trainer: Trainer, values: Sequence[int]) -> Sequence[int]:
    """The highest of the values of all processes that train; the main one may train alone while others wait for it."""
    return ranks.highest(values) if trainer.world_size > 1 else values


def _is_finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())
