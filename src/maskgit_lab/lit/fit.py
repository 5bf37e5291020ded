"""Trains any network: seeded, with a progress bar, saved regularly and resumed from its last checkpoint."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import Labelled
from maskgit_lab.errors import UserError
from maskgit_lab.lit import processes
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.checkpoints import WholeCheckpoints, check_fits, saving
from maskgit_lab.lit.data import SeededData
from maskgit_lab.lit.hardware import batch_on_device, workers
from maskgit_lab.lit.monitoring.watched import Watched
from maskgit_lab.lit.progress import StageBar
from maskgit_lab.runs.names import LAST
from maskgit_lab.settings import Hardware

ADVICE = (  # warnings that a user of these commands can do nothing about
    r".*does not have many workers.*",  # the data is in memory: workers would only cost time
    r".*number of training batches.*logging interval.*",
    r".*Checkpoint directory .* exists and is not empty.*",  # it is a resumed run
    r".*GPU available but not used.*",
    r".*does not have a deterministic implementation.*",
    r".*The dirpath has changed from.*",  # the run's folder was moved
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

    Returns:
        The metrics of the last validation.

    Raises:
        UserError: `last.ckpt` is damaged or of another module, or the training diverged.
        KeyboardInterrupt: Ctrl-C.
    """
    module.accumulate = hardware.accumulate
    batch_size = batch_on_device(module.optim.batch_size, hardware)
    data = SeededData(train, val, batch_size, module.seed, workers(hardware))
    shown = [StageBar(terminal, title, in_lines=watched is not None)]
    monitor, pictures, loggers = watched.attach() if watched else (None, [], [])
    saved = [saving(folder, hardware.save_every_epochs)] if folder else []
    callbacks: list[Callback] = [*([monitor] if monitor else []), *shown, *pictures, *saved]
    trainer = _trainer(module, hardware, callbacks, folder, loggers)
    last = None if folder is None else folder / LAST
    with warnings.catch_warnings():
        _ignore_lightnings_advice()
        _train(trainer, module, data, last)
        if monitor is not None:
            monitor.end(trainer)
        (metrics,) = trainer.validate(module, data, verbose=False)
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        key = SETTINGS.get(title, title)
        raise UserError(f"the training of the {title} diverged ({wrong[0]} is not finite): lower {key}.optim.lr")
    return {name: float(value) for name, value in metrics.items()}


def _train(trainer: Trainer, module: TrainedModule, data: SeededData, last: Path | None) -> None:
    resumed = last if last is not None and last.exists() else None
    if resumed is not None:
        check_fits(module.state_dict(), resumed)
    try:
        trainer.fit(module, data, ckpt_path=resumed, weights_only=True)
    except SystemExit as stop:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from stop
    if last is not None:
        trainer.save_checkpoint(last)


def _trainer(
    module: TrainedModule, hardware: Hardware, callbacks: list[Callback], folder: Path | None, loggers: list[Logger]
) -> Trainer:
    automatic = module.automatic_optimization
    clip = module.optim.gradient_clip if automatic else 0.0
    with warnings.catch_warnings():
        _ignore_lightnings_advice()
        return Trainer(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.num_nodes,
            strategy=_strategy(hardware, automatic),
            accumulate_grad_batches=hardware.accumulate if automatic else 1,
            max_steps=-1 if module.optim.max_steps is None else module.optim.max_steps * module.n_optimizers,
            sync_batchnorm=hardware.devices * hardware.num_nodes > 1 and _on_gpu(hardware),
            precision=hardware.precision,  # type: ignore[arg-type]
            # "warn": operations without a deterministic form on a GPU still run.
            deterministic="warn" if hardware.deterministic else False,
            max_epochs=module.optim.epochs,
            check_val_every_n_epoch=hardware.validate_every_epochs,
            gradient_clip_val=clip or None,
            callbacks=callbacks,
            plugins=[WholeCheckpoints()],
            logger=loggers,
            default_root_dir=folder,
            enable_checkpointing=folder is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=hardware.log_every_n_steps,
            use_distributed_sampler=False,
        )


def _strategy(hardware: Hardware, automatic: bool) -> Strategy | str:
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
