"""Trains any network: seeded, with a progress bar, saved regularly and resumed from its last checkpoint."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import Labelled
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.lit import processes
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.checkpoints import LastCheckpoint, WholeCheckpoints, check_fits
from maskgit_lab.lit.data import SeededData
from maskgit_lab.lit.extras import MEASURED, Extras, check_extras, extras_of, profiler
from maskgit_lab.lit.hardware import batch_on_device, workers
from maskgit_lab.lit.monitoring.watched import Watched
from maskgit_lab.lit.progress import StageBar
from maskgit_lab.runs.names import LAST
from maskgit_lab.settings import Hardware, TrainConf

ADVICE = (  # warnings that a user of these commands can do nothing about
    r".*does not have many workers.*",  # the data is in memory: workers would only cost time
    r".*number of training batches.*logging interval.*",
    r".*Checkpoint directory .* exists and is not empty.*",  # it is a resumed run
    r".*GPU available but not used.*",
    r".*does not have a deterministic implementation.*",
    r".*The dirpath has changed from.*",  # the run's folder was moved
    r".*callbacks used to create the checkpoint need to be provided.*",  # some change no weights and may be left out
    r".*module\(s\) in eval mode at the start of training.*",  # the perceptual loss's network, on purpose
    r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",  # Lightning's own use of torch
)
SETTINGS = dict.fromkeys(
    ("CAS", "CAS classifier"), "cas"
)  # groups of settings that are not called after the title of their training


def seed_all(seed: int) -> None:
    """Seeds every global generator before weights are drawn."""
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
    watched: Watched | None = None,
    extras: Extras | None = None,
    begin: Path | None = None,
) -> dict[str, float]:
    """Trains a module for `module.optim.epochs`, or fewer steps, and validates it; every process calls this.

    Args:
        module: what to train.
        train: items to train on.
        val: items to validate on, every few epochs and at the end.
        hardware: devices, precision, and how often to save and validate.
        terminal: shows the bar.
        title: of the bar.
        folder: where `last.ckpt` is kept; if it exists, training resumes from it.
        watched: what is shown and kept of the training besides a bar on a terminal; None: nothing.
        extras: further flags and callbacks of the trainer.
        begin: a checkpoint of another training to go on with, where there is no `last.ckpt` yet.

    Returns:
        The metrics of the last validation; none where flags of the trainer switch that off.

    Raises:
        UserError: `last.ckpt` is damaged or of another module, or the training diverged.
        KeyboardInterrupt: Ctrl-C.
    """
    module.accumulate = hardware.accumulate
    batch_size = batch_on_device(module.optim.batch_size, hardware)
    data = SeededData(train, val, batch_size, module.seed, workers(hardware))
    last = None if folder is None else folder / LAST
    resumed = last is not None and last.exists()
    extras = extras or Extras()
    monitor, pictures, loggers = watched.attach() if watched else (None, [], [])
    callbacks: list[Callback] = [
        *([monitor] if monitor else []),
        StageBar(terminal, title, in_lines=watched is not None),
        *pictures,
    ]
    if folder is not None:
        callbacks.append(LastCheckpoint(folder, hardware.save_every_epochs, resumed))
    trainer = _trainer(module, hardware, callbacks, folder, loggers, extras, title)
    with warnings.catch_warnings():
        _ignore_lightnings_advice()
        _train(trainer, module, data, last if resumed else begin)
        if last is not None:
            trainer.save_checkpoint(last)
        if monitor is not None:
            monitor.end(trainer)
        metrics = _validated(trainer, module, data, title)
    if extras.flags.get("profiler") and extras.reports is not None:
        terminal.note("profile", f"written to {extras.reports}")
    return metrics


def _validated(trainer: Trainer, module: TrainedModule, data: SeededData, title: str) -> dict[str, float]:
    metrics = next(iter(trainer.validate(module, data, verbose=False)), {})
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        key = SETTINGS.get(title, title)
        raise UserError(f"the training of the {title} diverged ({wrong[0]} is not finite): lower {key}.optim.lr")
    return {name: float(value) for name, value in metrics.items()}


def check_trainer(settings: TrainConf) -> None:
    """Raises a `UserError` for flags of the trainer and callbacks that Lightning refuses on this machine."""
    check_extras(settings)
    hardware = replace(settings.trainer, devices=1, num_nodes=1)
    for stage in MEASURED:
        extras = extras_of(settings, stage)
        if extras.flags or extras.callbacks:
            callbacks = [*extras.callbacks, LastCheckpoint(Path(), 1, goes_on=False)]
            arguments = {"accelerator": hardware.accelerator, "devices": 1, "callbacks": callbacks, "logger": False}
            strategy = _strategy(hardware, extras, automatic=True)
            _made(arguments | _flags(extras, stage) | {"strategy": strategy})


def _train(trainer: Trainer, module: TrainedModule, data: SeededData, resumed: Path | None) -> None:
    if resumed is not None:
        check_fits(module.state_dict(), resumed)
    try:
        trainer.fit(module, data, ckpt_path=resumed, weights_only=True)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C, or a callback's own
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from stop
    except Exception as error:
        if (understood := _understood(error, trainer)) is None:
            raise
        raise understood from error


def _understood(error: Exception, trainer: Trainer) -> UserError | None:
    """What an error of Lightning means for a user, where that is known."""
    if isinstance(error, MisconfigurationException) or "val_check_interval" in str(error):
        return _refused(error)
    if trainer._detect_anomaly and "returned nan values" in str(error):
        return UserError(f"the training diverged ({first_line(error)}): lower the learning rate")
    return None


def _trainer(
    module: TrainedModule,
    hardware: Hardware,
    callbacks: list[Callback],
    folder: Path | None,
    loggers: list[Logger],
    extras: Extras,
    title: str,
) -> Trainer:
    automatic = module.automatic_optimization
    clip = module.optim.gradient_clip if automatic else 0.0
    arguments: dict[str, Any] = {
        "accelerator": hardware.accelerator,
        "devices": hardware.devices,
        "num_nodes": hardware.num_nodes,
        "accumulate_grad_batches": hardware.accumulate if automatic else 1,
        "max_steps": -1 if module.optim.max_steps is None else module.optim.max_steps * module.n_optimizers,
        "sync_batchnorm": hardware.devices * hardware.num_nodes > 1 and _on_gpu(hardware),
        "precision": hardware.precision,
        # "warn": operations without a deterministic form on a GPU still run.
        "deterministic": "warn" if hardware.deterministic else False,
        "max_epochs": module.optim.epochs,
        "check_val_every_n_epoch": hardware.validate_every_epochs,
        "gradient_clip_val": clip or None,
        "callbacks": [*callbacks, *extras.callbacks],
        "plugins": [WholeCheckpoints()],
        "logger": loggers,
        "default_root_dir": folder,
        "enable_checkpointing": folder is not None,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": hardware.log_every_n_steps,
        "use_distributed_sampler": False,
    }
    return _made(arguments | _flags(extras, title) | {"strategy": _strategy(hardware, extras, automatic)})


def _flags(extras: Extras, title: str) -> dict[str, Any]:
    """The flags that a user gives, where most of what Lightning prints is off otherwise."""
    has_bar = any(isinstance(callback, ProgressBar) for callback in extras.callbacks)
    given = {"enable_progress_bar": has_bar, "enable_model_summary": False, **extras.flags}
    if (wanted := given.get("profiler")) is not None:
        given["profiler"] = profiler(wanted, title, extras.reports)
    return given


def _made(arguments: Mapping[str, Any]) -> Trainer:
    with warnings.catch_warnings():
        _ignore_lightnings_advice()
        try:
            return Trainer(**arguments)
        except UserError:
            raise
        except Exception as error:  # whatever Lightning raises for values that it does not take
            raise _refused(error) from error


def _refused(error: Exception) -> UserError:
    why = first_line(error).partition(". ")[0]
    return UserError(f"Lightning refuses these settings ({why}): change the flags of trainer or the callbacks")


def _strategy(hardware: Hardware, extras: Extras, automatic: bool) -> Strategy | str:
    if (given := extras.flags.get("strategy")) not in (None, "auto", "ddp"):
        return str(given)
    if hardware.devices * hardware.num_nodes > 1:
        # Of two optimisers that take turns, each leaves the other's weights unused.
        return DDPStrategy(find_unused_parameters=not automatic)
    if not processes.is_one_of_several():
        return "auto"
    return SingleDeviceStrategy(device=torch.device("cuda" if _on_gpu(hardware) else "cpu"))


def _on_gpu(hardware: Hardware) -> bool:
    return hardware.accelerator != "cpu" and torch.cuda.is_available()


def _ignore_lightnings_advice() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in ADVICE:
        warnings.filterwarnings("ignore", message)
