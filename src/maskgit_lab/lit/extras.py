"""What a user adds to Lightning's trainer: flags and callbacks, for the trainings of tokenizer and transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.profilers import AdvancedProfiler, Profiler, PyTorchProfiler, SimpleProfiler

from maskgit_lab.errors import UserError
from maskgit_lab.objects import TARGET, build, locate
from maskgit_lab.runs.names import LAST
from maskgit_lab.settings import Optim, TrainConf
from maskgit_lab.settings.callbacks import works_in

# What each training measures on held-out images, and a callback may monitor.
MEASURED = {
    "tokenizer": ("tokenizer/val_mse", "tokenizer/val_codebook_usage", "tokenizer/val_perplexity"),
    "mvtm": ("mvtm/val_nll",),
    "autoregressive": ("autoregressive/val_nll",),
}
PROFILERS: dict[str, type[Profiler]] = {
    "simple": SimpleProfiler,
    "advanced": AdvancedProfiler,
    "pytorch": PyTorchProfiler,
}


@dataclass(frozen=True)
class Extras:
    """Flags and callbacks of one training."""

    flags: Mapping[str, Any] = field(default_factory=dict)  # of lightning.Trainer
    callbacks: Sequence[Callback] = ()
    reports: Path | None = None  # the folder of the profiler's reports


def extras_of(settings: TrainConf, stage: str, folder: Path | None = None, checkpoints: Path | None = None) -> Extras:
    """The flags and callbacks of a training.

    Args:
        settings: of the run.
        stage: `tokenizer`, `mvtm` or `autoregressive`.
        folder: the run's, which gets the reports of a profiler.
        checkpoints: where those of a callback go that names no folder.

    Raises:
        UserError: a callback cannot be built, or takes no part in any training.
    """
    callbacks = []
    for name, node in settings.callbacks.items():
        key = f"callbacks.{name}"
        if not isinstance(node, Mapping):
            raise UserError(f"{key}={node} is not a callback: give its class as {key}._target_=CLASS")
        if works_in(node, stage) and (made := _built(node, key, stage, checkpoints)) is not None:
            callbacks.append(made)
    return Extras(settings.trainer.flags, callbacks, folder and folder / "profiles")


def check_extras(settings: TrainConf) -> None:
    """Raises a `UserError` for callbacks that cannot be built or that monitor what is not measured."""
    for name, node in settings.callbacks.items():
        if isinstance(node, Mapping) and node.get("monitor") is not None:
            _check_monitor(str(node["monitor"]), f"callbacks.{name}", node, settings)
    for stage in _stages(settings):
        extras_of(settings, stage)


def _stages(settings: TrainConf) -> tuple[str, str]:
    """The stages in which the settings train a network with callbacks."""
    return "tokenizer", settings.part


def profiler(wanted: Any, title: str, reports: Path | None) -> Any:
    """The profiler that `trainer.profiler` names, which writes its reports to a folder.

    Args:
        wanted: a name, or settings with `_target_`.
        title: begins the names of the reports.
        reports: the folder; None: it prints them.
    """
    if isinstance(wanted, Mapping):
        return build(wanted, "trainer.profiler", Profiler)  # type: ignore[type-abstract]
    if wanted is not None and not isinstance(wanted, str):
        raise UserError(f"trainer.profiler={wanted} is not possible: choose one of {', '.join(PROFILERS)}")
    if wanted in PROFILERS and reports is not None:
        return PROFILERS[wanted](dirpath=reports, filename=title)
    return wanted


def _built(node: Mapping[str, Any], key: str, stage: str, checkpoints: Path | None) -> Callback | None:
    """The callback; None for one that keeps checkpoints of a tokenizer, whose weights alone are kept."""
    target = locate(node.get(TARGET), f"{key}.{TARGET}", f"{key} cannot be built")
    if isinstance(target, type) and issubclass(target, EarlyStopping):
        _check_patience(node, key)
    if not (isinstance(target, type) and issubclass(target, ModelCheckpoint)):
        return build(node, key, Callback)
    if node.get("save_last") or node.get("filename") == LAST.removesuffix(".ckpt"):
        raise UserError(f"{key}: every run keeps {LAST} already: leave save_last out, and choose another filename")
    if stage == "tokenizer":
        return None
    places = {} if node.get("dirpath") is not None or checkpoints is None else {"dirpath": checkpoints}
    return build({name: value for name, value in node.items() if name not in places}, key, Callback, **places)


def _check_patience(node: Mapping[str, Any], key: str) -> None:
    """Raises a `UserError` for a patience that Lightning takes and that stops every training at once."""
    if type(patience := node.get("patience")) is int and patience < 0:
        raise UserError(f"{key}.patience={patience} is not possible: give a whole number of at least 0")


def _check_monitor(monitor: str, key: str, node: Mapping[str, Any], settings: TrainConf) -> None:
    stage = next((stage for stage in _stages(settings) if monitor in MEASURED[stage]), None)
    if stage is None:
        known = ", ".join(name for stage in _stages(settings) for name in MEASURED[stage])
        raise UserError(f"{key}.monitor={monitor} is not measured on held-out images: choose one of {known}")
    target = locate(node.get(TARGET), f"{key}.{TARGET}", f"{key} cannot be built")
    keeps = isinstance(target, type) and issubclass(target, ModelCheckpoint)
    if keeps and stage == "tokenizer":
        raise UserError(f"{key} keeps checkpoints of the transformer: monitor {', '.join(MEASURED[settings.part])}")
    conf: Optim = settings.tokenizer.optim if stage == "tokenizer" else settings.transformer.optim
    flags, every = settings.trainer.flags, settings.trainer.validate_every_epochs
    if flags.get("limit_val_batches") == 0:
        raise UserError(f"{key} monitors {monitor}, and trainer.limit_val_batches=0 measures nothing: leave one out")
    if every > conf.epochs and not {"val_check_interval", "fast_dev_run"} & flags.keys():
        raise UserError(
            f"{key} monitors {monitor}, which is measured every {every} epochs of {conf.epochs}: set "
            "trainer.validate_every_epochs=1"
        )
