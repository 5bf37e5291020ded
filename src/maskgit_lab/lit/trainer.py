"""Lightning's trainer with the settings of this suite."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.lit import processes
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.checkpoints import LastCheckpoint, WholeCheckpoints
from maskgit_lab.lit.extras import MEASURED, Extras, check_extras, extras_of, profiler
from maskgit_lab.lit.signals import Signals
from maskgit_lab.settings import Hardware, TrainConf

ADVICE = (  # warnings that a user of these commands can do nothing about
    r".*does not have many workers.*",  # the data is in memory: workers would only cost time
    r".*number of training batches.*logging interval.*",
    r".*Checkpoint directory .* exists and is not empty.*",  # it is a resumed run
    r".*GPU available but not used.*",
    r".*does not have a deterministic implementation.*",
    r".*ended before the epoch ended and your dataloader is not resumable.*",  # it is, by the progress of the epoch
    r".*The dirpath has changed from.*",  # the run's folder was moved
    r".*callbacks used to create the checkpoint need to be provided.*",  # some change no weights and may be left out
    r".*module\(s\) in eval mode at the start of training.*",  # the perceptual loss's network, on purpose
    r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",  # Lightning's own use of torch
)


def check_trainer(settings: TrainConf) -> None:
    """Raises a `UserError` for flags of the trainer and callbacks that Lightning refuses on this machine."""
    check_extras(settings)
    hardware = replace(settings.trainer, devices=1, num_nodes=1)
    for stage in MEASURED:
        extras = extras_of(settings, stage)
        if extras.flags or extras.callbacks:
            callbacks = [*extras.callbacks, LastCheckpoint(Path(), 1, 1, False, Signals())]
            arguments = {"accelerator": hardware.accelerator, "devices": 1, "callbacks": callbacks, "logger": False}
            arguments["plugins"] = [processes.environment(hardware)]
            strategy = _strategy(hardware, extras, automatic=True)
            _made(arguments | _flags(extras, stage) | {"strategy": strategy})


def make_trainer(
    module: TrainedModule,
    hardware: Hardware,
    callbacks: list[Callback],
    folder: Path | None,
    loggers: list[Logger],
    extras: Extras,
    title: str,
) -> Trainer:
    """The trainer of a network.

    Args:
        module: the network, and how it is optimised.
        hardware: devices, precision, and how often to validate.
        callbacks: of this suite.
        folder: of the checkpoints; None: there are none.
        loggers: of Lightning.
        extras: further flags and callbacks.
        title: begins the names of a profiler's reports.

    Raises:
        UserError: Lightning refuses the flags or the callbacks.
    """
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
        "plugins": [WholeCheckpoints(), processes.environment(hardware)],
        "logger": loggers,
        # Not where checkpoints lie: on SLURM, Lightning loads any hpc_ckpt_1.ckpt of this folder instead of ours.
        "default_root_dir": (folder or Path(tempfile.gettempdir())) / "lightning",
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
    with without_advice():
        try:
            trainer = Trainer(**arguments)
        except UserError:
            raise
        except Exception as error:  # whatever Lightning raises for values that it does not take
            raise refused(error) from error
    trainer._signal_connector = _NoSignals(trainer)
    # Where max_steps is given, Lightning would skip an epoch if a training is resumed at the end of one.
    trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
    return trainer


class _NoSignals(_SignalConnector):
    """Leaves signals to `Signals`."""

    def register_signal_handlers(self) -> None:
        """Registers none."""


def refused(error: Exception) -> UserError:
    """What Lightning says of settings that it does not take, as a sentence."""
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


@contextmanager
def without_advice() -> Iterator[None]:
    """Keeps Lightning from warning of what is meant to be so."""
    with warnings.catch_warnings():
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        for message in ADVICE:
            warnings.filterwarnings("ignore", message)
        yield
