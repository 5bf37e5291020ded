"""Flags of `lightning.Trainer` that have no setting of their own: which there are, and which of them change a run.

The names are written here, so that a misspelt flag is refused before Lightning is imported; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from maskgit_lab.errors import UserError
from maskgit_lab.settings.renamed import OF_TRAINER, RENAMED

FLAGS = (  # every argument of lightning.Trainer
    *("accelerator", "strategy", "devices", "num_nodes", "precision", "logger", "callbacks", "fast_dev_run"),
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "limit_train_batches", "limit_val_batches"),
    *("limit_test_batches", "limit_predict_batches", "overfit_batches", "val_check_interval"),
    *("check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps", "enable_checkpointing"),
    *("enable_progress_bar", "enable_model_summary", "accumulate_grad_batches", "gradient_clip_val"),
    *("gradient_clip_algorithm", "deterministic", "benchmark", "inference_mode", "use_distributed_sampler"),
    *("profiler", "detect_anomaly", "barebones", "plugins", "sync_batchnorm", "reload_dataloaders_every_n_epochs"),
    *("default_root_dir", "enable_autolog_hparams", "model_registry"),
)
LIMITING = (  # what they cut short is no whole training
    *("fast_dev_run", "overfit_batches", "limit_train_batches", "limit_val_batches", "max_time"),
)
HARMLESS = (  # they change no weights
    *("profiler", "log_every_n_steps", "enable_model_summary", "enable_progress_bar", "detect_anomaly"),
    *("num_sanity_val_steps", "strategy", "benchmark", "inference_mode"),
)
SWITCHES = (
    *("detect_anomaly", "enable_model_summary", "enable_progress_bar", "benchmark", "inference_mode", "barebones"),
)
EVERYTHING = {"limit_train_batches": 1.0, "limit_val_batches": 1.0}  # a share; 1 is one batch
NOTHING = ("fast_dev_run", "overfit_batches")  # where 0 switches a flag off
OWN_PROCESSES = ("spawn", "fork", "notebook")  # in the names of strategies that start processes by themselves


def with_flags(trainer: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The group `trainer` with what is none of its fields moved into its `flags`."""
    known = set(fields)
    own = {key: value for key, value in trainer.items() if key in known}
    others = {key: value for key, value in trainer.items() if key not in known}
    return {**own, "flags": {**own.get("flags", {}), **others}}


def check_flags(flags: Mapping[str, Any], fields: Iterable[str]) -> None:
    """Raises a `UserError` unless each is a flag that Lightning has and that the suite does not set itself.

    Args:
        flags: names and values.
        fields: the suite's own settings of the group.
    """
    for name, value in flags.items():
        if instead := RENAMED.get(f"trainer.{name}"):
            raise UserError(f"trainer.{name} is not used here: {_instead(instead)}")
        if name not in FLAGS:
            known = [*fields, *(flag for flag in FLAGS if flag not in OF_TRAINER)]
            close = get_close_matches(name, known, n=1)
            hint = f" (did you mean trainer.{close[0]}?)" if close else ""
            raise UserError(
                f"trainer.{name}: neither a setting of this suite nor a flag of lightning.Trainer{hint}; "
                "`python train.py --help` lists the settings"
            )
        if name in SWITCHES and not isinstance(value, bool):
            raise UserError(f"trainer.{name}={value} is not possible: give true or false")
        if name == "limit_train_batches" and value == 0:
            raise UserError(f"trainer.{name}=0 trains nothing: give a number of batches, or leave it out")
        if name == "num_sanity_val_steps" and (type(value) is not int or value < -1):
            raise UserError(f"trainer.{name}={value} is not possible: give a number of batches, or -1 for all")
        if name == "strategy" and any(word in str(value) for word in OWN_PROCESSES):
            raise UserError(
                f"trainer.strategy={value} starts processes in the middle of the training, where this suite starts "
                "one for each device with the command: choose ddp"
            )


def counted(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that can change the weights."""
    return {name: value for name, value in sorted(flags.items()) if name not in HARMLESS and _is_on(name, value)}


def limits(flags: Mapping[str, Any]) -> str | None:
    """The flags that cut a training short, in words; None without any."""
    named = [f"{name}={_text(flags[name])}" for name in LIMITING if _is_on(name, flags.get(name))]
    return " ".join(named) or None


def _is_on(name: str, value: Any) -> bool:
    if value is None or value is False or (name in NOTHING and value == 0):
        return False
    return not (isinstance(value, float) and EVERYTHING.get(name) == value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _instead(instead: str) -> str:
    return instead.replace("nothing: ", "leave it out, ") if instead.startswith("nothing") else f"give {instead}"
