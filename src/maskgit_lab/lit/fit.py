"""One way to train a network: seeded, with a bar, saved as it goes and resumed from where it was saved."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import Labelled
from maskgit_lab.errors import UserError
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.data import SeededData
from maskgit_lab.lit.progress import StageBar
from maskgit_lab.settings import Hardware

LAST = "last.ckpt"

# What any trained network depends on besides its own module.
TRAINING_MODULES = ("maskgit_lab.lit.base", "maskgit_lab.lit.data", "maskgit_lab.lit.fit", "maskgit_lab.seeds")


def seed_all(seed: int) -> None:
    """Seeds every global generator, for weights that are drawn next."""
    seed_everything(seed, verbose=False)


def fit(
    module: TrainedModule,
    train: Labelled,
    val: Labelled,
    *,
    hardware: Hardware,
    terminal: Terminal,
    title: str,
    folder: Path | None = None,
    logger: Logger | None = None,
) -> dict[str, float]:
    """Trains a module for `module.optim.epochs` and validates it.

    Args:
        module: what to train.
        train: items to train on.
        val: items to validate on, every few epochs and at the end.
        hardware: on what to train.
        terminal: shows the bar.
        title: of the bar.
        folder: keeps `last.ckpt`; if it is there already, training goes on from it.
        logger: where losses go.

    Returns:
        The metrics of the last validation.

    Raises:
        UserError: `last.ckpt` is damaged or not of this module, or the training diverged.
        KeyboardInterrupt: Ctrl-C.
    """
    data = SeededData(train, val, module.optim.batch_size, module.seed)
    trainer = _trainer(module, hardware, _callbacks(terminal, title, folder, hardware), folder, logger)
    last = None if folder is None else folder / LAST
    with warnings.catch_warnings():
        _ignore_lightnings_advice()
        _train(trainer, module, data, last)
        (metrics,) = trainer.validate(module, data, verbose=False)
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise UserError(f"the training of the {title} diverged ({wrong[0]} is not finite): lower its learning rate")
    return {name: float(value) for name, value in metrics.items()}


def _train(trainer: Trainer, module: TrainedModule, data: SeededData, last: Path | None) -> None:
    resumed = last is not None and last.exists()
    if resumed and last is not None:
        _check_fits(module, read_checkpoint(last)["state_dict"], last)
    try:
        trainer.fit(module, data, ckpt_path=last if resumed else None, weights_only=True)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from stop
    if last is not None:
        trainer.save_checkpoint(last)


def _check_fits(module: TrainedModule, state: Mapping[str, Any], path: Path) -> None:
    own = {name: value.shape for name, value in module.state_dict().items()}
    if own != {name: getattr(value, "shape", None) for name, value in state.items()}:
        raise UserError(f"the checkpoint {path} is of another network: delete it and give the same command again")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's plain values and tensors, on the CPU; nothing else is unpickled.

    Raises:
        UserError: the file is absent or damaged.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(checkpoint["state_dict"], dict):
            raise TypeError("its state_dict is no dictionary")
        return checkpoint
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}: train first, or name a run that was trained") from error
    except Exception as error:  # a damaged file makes torch.load raise nearly anything
        raise UserError(f"the checkpoint {path} is damaged: delete it and give the same command again") from error


def _callbacks(terminal: Terminal, title: str, folder: Path | None, hardware: Hardware) -> list[Callback]:
    callbacks: list[Callback] = [StageBar(terminal, title)]
    if folder is not None:
        callbacks.append(
            ModelCheckpoint(
                folder,
                LAST.removesuffix(".ckpt"),
                every_n_epochs=hardware.save_every_epochs,
                enable_version_counter=False,
                save_on_train_epoch_end=True,
            )
        )
    return callbacks


def _trainer(
    module: TrainedModule, hardware: Hardware, callbacks: list[Callback], folder: Path | None, logger: Logger | None
) -> Trainer:
    clip = module.optim.gradient_clip if module.automatic_optimization else 0.0
    with warnings.catch_warnings():
        _ignore_lightnings_advice()
        return Trainer(
            accelerator=hardware.accelerator,
            devices=1,
            precision=hardware.precision,  # type: ignore[arg-type]
            deterministic=hardware.deterministic,
            max_epochs=module.optim.epochs,
            check_val_every_n_epoch=hardware.validate_every_epochs,
            gradient_clip_val=clip or None,
            callbacks=callbacks,
            logger=logger or False,
            default_root_dir=folder,
            enable_checkpointing=folder is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            use_distributed_sampler=False,
        )


def _ignore_lightnings_advice() -> None:
    """Silences notes that a user of these commands can do nothing about, and no others."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",  # the data is in memory: workers would only cost
        r".*number of training batches.*logging interval.*",
        r".*Checkpoint directory .* exists and is not empty.*",  # it is a resumed run
        r".*GPU available but not used.*",
        r".*The dirpath has changed from.*",  # the run's folder was moved
        r".*module\(s\) in eval mode at the start of training.*",  # the perceptual loss's network, on purpose
        r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",  # Lightning's own use of torch
    ):
        warnings.filterwarnings("ignore", message)
