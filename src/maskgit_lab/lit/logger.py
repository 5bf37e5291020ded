"""Weights & Biases through Lightning's logger: online where it can be, else offline with a word on how to upload."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from lightning.pytorch.loggers import WandbLogger

from maskgit_lab.errors import UserError, first_line

CONNECT_SECONDS = 2.0
STEP = "eval/steps"  # T, the x-axis of the curve
TABLE = "eval/points"
SMALLER_IS_BETTER = ("fid", "sfid", "kid", "nll")
DISTANCES = ("fd_", "sfd_", "kd_")  # before the extractor's name
LARGER_IS_BETTER = ("inception_score", "precision", "recall", "cas_top1", "cas_top5", "sample_accuracy")

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
            name (the overrides), and an id that stays the same when the run is resumed. Under `wandb agent` project,
            entity and id are the agent's, and the group is the W&B sweep if no other is given.

    Raises:
        UserError: W&B does not take these settings.
    """
    if mode == "none" or (mode == "auto" and os.environ.get("WANDB_MODE") == "disabled"):
        return None
    try:
        return _start(mode, folder, config, say, run)
    except (wandb.Error, ValueError) as error:
        advice = "change the logger's settings or the environment's WANDB_ ones, or leave W&B out with logger=none"
        raise UserError(f"W&B cannot start ({first_line(error)}): {advice}") from error


def _start(
    mode: str, folder: Path, config: Mapping[str, Any], say: Callable[[str], None], run: Mapping[str, Any]
) -> RunLogger:
    wandb.setup(settings=wandb.Settings(silent=True))
    reason = why_offline(mode)
    if reason:
        say(f"W&B is offline ({reason}); upload this run later with: wandb sync {folder}/wandb/offline-run-*")
    logger = WandbLogger(
        save_dir=folder,
        config=dict(config),
        mode="offline" if reason else "online",
        settings=wandb.Settings(console="off"),
        **_placed(run),
    )
    logger.experiment.define_metric(STEP, hidden=True)
    logger.experiment.define_metric("eval/*", step_metric=STEP)
    return logger


def in_wandb_sweep() -> bool:
    """Whether `wandb agent` started this process: it waits for a run under the id that it has chosen."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def _placed(run: Mapping[str, Any]) -> dict[str, Any]:
    if not in_wandb_sweep():
        return dict(run)
    own = {key: value for key, value in run.items() if key not in ("project", "entity", "id")}
    return own | {"group": run.get("group") or os.environ["WANDB_SWEEP_ID"]}


def curve_settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a curve of one run from those of others, by plain keys that W&B can group runs by.

    Args:
        row: with the schedules' names, `choice_temperature` and `guidance`, as a row of results has them.
    """
    names = {f"{key}_name": row[key] for key in ("schedule", "decode_schedule")}  # `schedule` is the class's config
    return names | {key: row[key] for key in ("choice_temperature", "guidance")}


def is_fresh(logger: RunLogger | None) -> bool:
    """Whether the W&B run has no points yet, as far as can be known: a run that is offline cannot be asked."""
    return logger is not None and not logger.experiment.resumed


def better(metric: str) -> str | None:
    """`min` or `max`, by the direction in which a metric of a row is better; None for what is no such metric."""
    if metric in LARGER_IS_BETTER:
        return "max"
    is_distance = metric.startswith(DISTANCES) and not metric.endswith("_std")
    return "min" if is_distance or metric in SMALLER_IS_BETTER else None


def log_point(logger: RunLogger | None, row: Mapping[str, Any]) -> None:
    """Logs one point of the curve, its settings included; T, `eval/steps`, is its x-axis."""
    if logger is None:
        return
    for key in row.keys() - {"steps"}:  # by name: which of two patterns W&B follows is left to chance
        logger.experiment.define_metric(f"eval/{key}", step_metric=STEP, summary=better(key))
    logger.experiment.log({f"eval/{key}": value for key, value in row.items()})


def log_points(logger: RunLogger | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Logs all points of a run as one table, `eval/points`, in place of the last one, and the best of each metric."""
    if logger is None or not rows:
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[row.get(key) for key in columns] for row in rows]
    logger.experiment.log({TABLE: wandb.Table(columns=[*columns], data=cells)})
    logger.experiment.summary.update(_best(rows))


def _best(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The best of each metric in the form of W&B's summary, which forgets those from before a run was resumed."""
    choose = {"min": min, "max": max}
    kinds = {key: kind for row in rows for key in row if (kind := better(key)) is not None}
    values = {key: [row[key] for row in rows if key in row] for key in kinds}
    return {f"eval/{key}": {kind: choose[kind](values[key])} for key, kind in kinds.items()}


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


def why_offline(mode: str = "auto") -> str:
    """Why W&B is not to be reached, in a few words; empty if it is."""
    if mode != "auto":
        return "as asked" if mode == "offline" else ""
    if wandb.setup().settings.mode in ("offline", "disabled"):
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
