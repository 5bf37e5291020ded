"""The start of a run in Weights & Biases: online where that is possible, else offline, and how to upload it later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import wandb
from pydantic import ValidationError

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.lit.loggers import wandb_service
from maskgit_lab.lit.loggers.base import Described
from maskgit_lab.lit.loggers.wandb import WandbRun, in_wandb_sweep
from maskgit_lab.lit.loggers.wandb_connection import why_offline
from maskgit_lab.lit.loggers.wandb_folders import Folders
from maskgit_lab.lit.loggers.wandb_guard import Guard, GuardedLogger
from maskgit_lab.lit.loggers.wandb_history import upload
from maskgit_lab.settings import LoggerConf

SILENT = wandb.Settings(silent=True)
START_SECONDS = 30  # that the server may take to open a run
FLUSH_SECONDS = 0.5  # between writes of a run's log: what is logged later than the last is lost when it is killed


def start(conf: LoggerConf, own: Mapping[str, Any], about: Described) -> WandbRun | None:
    """Starts or resumes the W&B run; None where it is switched off.

    Args:
        conf: project, entity, group (the sweep), tags, notes, and the mode: `online`, `offline`, `none`, or `auto`,
            online if there is an account and its server answers. Under `wandb agent` project, entity and id are the
            agent's, and the group is the W&B sweep if no other is given.
        own: further arguments of `wandb.init`.
        about: the run.

    Raises:
        UserError: W&B does not take these settings.
    """
    if _is_off(conf):
        return None
    try:
        return _start(conf, own, about)
    except UserError:
        raise
    except Exception as error:  # W&B's own errors have no class in common
        advice = "change the logger's settings or the environment's WANDB_ ones, or leave W&B out with logger=none"
        raise UserError(f"W&B cannot start ({_reason(error)}): {advice}") from error


def owes(conf: LoggerConf, own: Mapping[str, Any], about: Described) -> bool:
    """Whether W&B lacks something of a run, and can be given it now: it was killed, or its server was gone at its end.

    Args:
        conf: as for `start`.
        own: further arguments of `wandb.init`.
        about: the run.
    """
    if _is_off(conf):
        return False
    unfinished = Folders(about.folder, str(own.get("id", about.id))).unfinished
    try:
        if unfinished == "online":
            wandb.setup(settings=SILENT)
            return not why_offline(conf.mode)
        return bool(unfinished)
    except (wandb.Error, ValueError):  # of the environment's settings, which a run that is complete does not need
        return False


def _is_off(conf: LoggerConf) -> bool:
    return conf.mode == "none" or (conf.mode == "auto" and os.environ.get("WANDB_MODE") == "disabled")


def _start(conf: LoggerConf, own: Mapping[str, Any], about: Described) -> WandbRun:
    wandb.setup(settings=SILENT)
    named = {"name": about.name, "job_type": about.job_type, "id": about.id, "tags": conf.tags or None}
    run = {"project": conf.project, "entity": conf.entity, "group": conf.group, "notes": conf.notes, **named, **own}
    Folders(about.folder, about.id).remove_empty()
    reason = why_offline(conf.mode)
    if not reason:
        try:
            return _opened("online", run, conf, about)
        except (wandb.errors.UsageError, ValueError, TypeError):  # of the settings, with which offline is no better
            raise
        except Exception as error:  # of the server
            reason = _reason(error)
            wandb_service.stop()  # which holds the id of the run
    if conf.mode == "online":
        raise UserError(
            f"logger.mode=online is not possible ({reason}): check the network and the account, or leave "
            "logger.mode out to run offline"
        )
    opened = _opened("offline", run, conf, about)
    about.say(f"W&B is offline ({reason}); upload this run later with: `wandb sync {about.folder}/wandb/offline-run-*`")
    return opened


def _reason(error: Exception) -> str:
    """What W&B or its server said, without the code of its answer."""
    if isinstance(error, ValidationError):  # of W&B's settings, which come from the environment as well
        wrong = error.errors()[0]
        name = ".".join(map(str, wrong["loc"]))
        return f"{name}: {wrong['msg']}" if name == "api_key" else f"{name}={wrong['input']!r}: {wrong['msg']}"
    text = first_line(error)
    return f"no answer within {START_SECONDS} s" if "deadline exceeded" in text else text.partition(": {")[0]


def _opened(mode: str, run: Mapping[str, Any], conf: LoggerConf, about: Described) -> WandbRun:
    wandb.setup(settings=SILENT)
    placed = _placed(run)
    if mode == "online" and "id" in placed:
        upload(Folders(about.folder, placed["id"]).offline())
    logger = GuardedLogger(
        Guard(about.say),
        save_dir=about.folder,
        config=dict(about.config),
        mode=mode,
        settings=wandb.Settings(
            console="off", init_timeout=START_SECONDS, x_transaction_log_flush_interval=FLUSH_SECONDS
        ),
        **placed,
    )
    return WandbRun(logger, about, conf.log_model)


def _placed(run: Mapping[str, Any]) -> dict[str, Any]:
    if not in_wandb_sweep():
        return dict(run)
    own = {key: value for key, value in run.items() if key not in ("project", "entity", "id")}
    return own | {"group": run.get("group") or os.environ["WANDB_SWEEP_ID"]}
