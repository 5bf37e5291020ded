"""Weights & Biases through Lightning's logger: online where it can be, else offline with a word on how to upload."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from lightning.pytorch.loggers import WandbLogger

from maskgit_lab.errors import UserError

CONNECT_SECONDS = 2.0

RunLogger = WandbLogger


def wandb_logger(
    *, mode: str, folder: Path, config: Mapping[str, Any], say: Callable[[str], None], **run: Any
) -> RunLogger | None:
    """A logger for one run, or None for `mode="none"`.

    Args:
        mode: `online`, `offline`, `none`, or `auto`: online if there is an account and its server answers.
        folder: where wandb keeps its files.
        config: the run's resolved config.
        say: told in one line that the run is offline.
        run: what names the run, as `wandb.init` takes it: project, entity, group (the sweep), job_type (the verb),
            name (the overrides), and an id that stays the same when the run is resumed.

    Raises:
        UserError: W&B does not take these settings.
    """
    if mode == "none" or (mode == "auto" and os.environ.get("WANDB_MODE") == "disabled"):
        return None
    try:
        return _start(mode, folder, config, say, run)
    except (wandb.Error, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        advice = "change the logger's settings or the environment's WANDB_ ones, or leave W&B out with logger=none"
        raise UserError(f"W&B cannot start ({reason}): {advice}") from error


def _start(
    mode: str, folder: Path, config: Mapping[str, Any], say: Callable[[str], None], run: Mapping[str, Any]
) -> RunLogger:
    wandb.setup(settings=wandb.Settings(silent=True))
    why_offline = _why_offline(mode)
    if why_offline:
        say(f"W&B is offline ({why_offline}); upload this run later with: wandb sync {folder}/wandb/offline-run-*")
    logger = WandbLogger(
        save_dir=folder,
        config=dict(config),
        mode="offline" if why_offline else "online",
        settings=wandb.Settings(console="off"),
        **run,
    )
    logger.experiment.define_metric("eval/steps", hidden=True)
    logger.experiment.define_metric("eval/*", step_metric="eval/steps")
    return logger


def log_point(logger: RunLogger | None, row: Mapping[str, Any]) -> None:
    """Logs one point of the curve; T, `eval/steps`, is its x-axis."""
    if logger is not None:
        numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
        logger.experiment.log({f"eval/{key}": value for key, value in numbers.items()})


def log_scores(logger: RunLogger | None, group: str, scores: Mapping[str, float]) -> None:
    """Logs numbers that are measured once in a run."""
    if logger is not None:
        logger.experiment.log({f"{group}/{key}": value for key, value in scores.items()})


def log_pictures(logger: RunLogger | None, pictures: Mapping[str, Path]) -> None:
    """Logs PNG files as media."""
    if logger is not None:
        logger.experiment.log({f"pictures/{name}": wandb.Image(str(path)) for name, path in pictures.items()})


@contextmanager
def finishing(logger: RunLogger | None) -> Iterator[None]:
    """Ends the W&B run, as failed if there was an error, so that the next one in this process is a run of its own."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if logger is not None:
            logger.experiment.finish(exit_code=exit_code)


def _why_offline(mode: str) -> str:
    if mode != "auto":
        return "as asked" if mode == "offline" else ""
    if wandb.setup().settings.mode == "offline":
        return "WANDB_MODE says so"
    try:
        if not wandb.login(prompt=False, verify=False):
            return "no account: `wandb login` adds one"
    except wandb.Error:
        return "the API key is not valid: `wandb login` takes another"
    url = urlparse(wandb.setup().settings.base_url)
    try:
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        socket.create_connection(address, CONNECT_SECONDS).close()
    except OSError:
        return f"no connection to {url.hostname}"
    return ""
