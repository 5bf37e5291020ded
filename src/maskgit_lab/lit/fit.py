"""Trains any network: seeded, with a progress bar, saved regularly and resumed from its last checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer, seed_everything

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import Labelled
from maskgit_lab.errors import Interrupted, UserError, first_line
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.checkpoints import Diverged, LastCheckpoint, check_fits, forget_previous, recovered, step_of
from maskgit_lab.lit.data import SeededData
from maskgit_lab.lit.extras import MEASURED, Extras
from maskgit_lab.lit.hardware import batch_on_device, workers
from maskgit_lab.lit.monitoring.watched import Watched
from maskgit_lab.lit.progress import StageBar
from maskgit_lab.lit.signals import Signals
from maskgit_lab.lit.trainer import make_trainer, refused, without_advice
from maskgit_lab.settings import Hardware

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
        Interrupted: a signal has asked it to end, and it is saved.
        KeyboardInterrupt: Ctrl-C.
    """
    module.accumulate = hardware.accumulate
    batch_size = batch_on_device(module.optim.batch_size, hardware)
    data = SeededData(train, val, batch_size, module.seed, workers(hardware))
    resumed = folder is not None and _recovered(folder, terminal, hardware)
    extras = extras or Extras()
    monitor, pictures, loggers = watched.attach() if watched else (None, [], [])
    bar = StageBar(terminal, title, in_lines=watched is not None)
    callbacks: list[Callback] = [*([monitor] if monitor else []), bar, *pictures]
    with without_advice():
        with Signals() as signals:
            last = None if folder is None else LastCheckpoint(folder, *_how_often(hardware), resumed, signals)
            callbacks += [last] if last is not None else []
            trainer = make_trainer(module, hardware, callbacks, folder, loggers, extras, title)
            _train(trainer, module, data, last, begin, title)
        if monitor is not None:
            monitor.end(trainer)
        metrics = _validated(trainer, module, data, title)
    if folder is not None and ranks.is_main():
        forget_previous(folder)
    if extras.flags.get("profiler") and extras.reports is not None:
        terminal.note("profile", f"written to {extras.reports}")
    return metrics


def _how_often(hardware: Hardware) -> tuple[int, float]:
    return hardware.save_every_epochs, hardware.save_every_minutes


def _recovered(folder: Path, terminal: Terminal, hardware: Hardware) -> bool:
    """Whether a training goes on with the checkpoint in a folder; every process that takes part calls this."""
    if hardware.devices * hardware.num_nodes == 1:
        return recovered(folder, terminal)
    return ranks.share(ranks.is_main() and recovered(folder, terminal))


def _validated(trainer: Trainer, module: TrainedModule, data: SeededData, title: str) -> dict[str, float]:
    with _interruptible():
        metrics = next(iter(trainer.validate(module, data, verbose=False)), {})
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise UserError(
            f"the training of the {title} diverged ({wrong[0]} is not finite): lower {_key(title)}.optim.lr"
        )
    return {name: float(value) for name, value in metrics.items()}


@contextmanager
def _interruptible() -> Iterator[None]:
    """Passes on an interruption, in place of the exit that Lightning makes of it."""
    try:
        yield
    except SystemExit as stop:  # Lightning's, or a callback's or a scheduler's own
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        raise (stop.__context__ if isinstance(stop.__context__, Interrupted) else KeyboardInterrupt()) from stop


def _diverged(
    error: Diverged, trainer: Trainer, module: TrainedModule, last: LastCheckpoint | None, title: str
) -> UserError:
    """What a user can do about a training that diverged: its last good checkpoint is kept."""
    lower = f"lower {_key(title)}.optim.lr"
    if last is not None and last.saved_step:
        lower += f"; the checkpoint of step {last.saved_step} is kept in {last.path}"
        if title in MEASURED and title != "tokenizer":
            lower += ", and ckpt_path=FILE ckpt_mode=resume continues from it with other settings"
    return UserError(f"the training of the {title} diverged at step {step_of(trainer, module)} ({error}): {lower}")


def _key(title: str) -> str:
    return SETTINGS.get(title, title)


def _train(
    trainer: Trainer,
    module: TrainedModule,
    data: SeededData,
    last: LastCheckpoint | None,
    begin: Path | None,
    title: str,
) -> None:
    """Trains to the end, from the checkpoint that there is, and saves."""
    start = last.path if last is not None and last.goes_on else begin
    if start is not None:
        check_fits(module.state_dict(), start)
    try:
        with _interruptible():
            trainer.fit(module, data, ckpt_path=start, weights_only=True)
        if last is not None:
            last.save(trainer)
    except Diverged as error:
        raise _diverged(error, trainer, module, last, title) from error
    except Exception as error:
        if (understood := _understood(error, trainer)) is None:
            raise
        raise understood from error


def _understood(error: Exception, trainer: Trainer) -> UserError | None:
    """What an error of Lightning means for a user, where that is known."""
    if isinstance(error, MisconfigurationException) or "val_check_interval" in str(error):
        return refused(error)
    if trainer._detect_anomaly and "returned nan values" in str(error):
        return UserError(f"the training diverged ({first_line(error)}): lower the learning rate")
    return None
