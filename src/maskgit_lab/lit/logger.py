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

from maskgit_lab import ranks
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.metrics import registry
from maskgit_lab.runs.results import Row, knobs
from maskgit_lab.runs.run import Logger, NoLogger

CONNECT_SECONDS = 2.0
STEP = "eval/steps"  # T, the x-axis of the curve
TABLE = "eval/points"


class WandbRun:
    """A run in W&B, online or offline.

    Args:
        lightning: Lightning's logger of it.
    """

    def __init__(self, lightning: WandbLogger) -> None:
        self.lightning = lightning
        self.run = lightning.experiment
        self.run.define_metric(STEP, hidden=True)
        self.run.define_metric("eval/*", step_metric=STEP)

    @property
    def is_fresh(self) -> bool:
        """Whether it has no points yet, as far as can be known: a run that is offline cannot be asked."""
        return not self.run.resumed

    def point(self, row: Row) -> None:
        """Logs one point of the curve, its settings included; T, `eval/steps`, is its x-axis."""
        for key in row.keys() - {"steps"}:  # by name: which of two patterns W&B follows is left to chance
            metric = registry.metric_of(key)
            self.run.define_metric(f"eval/{key}", step_metric=STEP, summary=metric.better if metric else None)
        self.run.log({f"eval/{key}": value for key, value in row.items()})

    def points(self, rows: Sequence[Row]) -> None:
        """Logs all points as one table, `eval/points`, in place of the last one, and the best of each metric."""
        if not rows:
            return
        columns = list(dict.fromkeys(key for row in rows for key in row))
        cells = [[row.get(key) for key in columns] for row in rows]
        self.run.log({TABLE: wandb.Table(columns=[*columns], data=cells)})
        self.run.summary.update(_best(rows))

    def scores(self, group: str, scores: Mapping[str, float]) -> None:
        """Logs numbers that are measured once in a run."""
        self.run.log({f"{group}/{key}": value for key, value in scores.items()})

    def pictures(self, pictures: Mapping[str, Path]) -> None:
        """Logs PNG files as media."""
        self.run.log({f"pictures/{name}": wandb.Image(str(path)) for name, path in pictures.items()})


@contextmanager
def logging_to_wandb(
    *, mode: str, folder: Path, config: Mapping[str, Any], say: Callable[[str], None], **run: Any
) -> Iterator[Logger]:
    """A logger for one run; at the end the W&B run is finished, as failed if there was an error.

    Args:
        mode: `online`, `offline`, `none`, or `auto`: online if there is an account and its server answers.
        folder: where wandb keeps its files.
        config: the run's settings.
        say: is called with one line if the run is offline.
        run: what names the run, as `wandb.init` takes it: project, entity, group (the sweep), job_type (the verb),
            name (the overrides), and an id that stays the same when the run is resumed. Under `wandb agent` project,
            entity and id are the agent's, and the group is the W&B sweep if no other is given.

    Raises:
        UserError: W&B does not take these settings.
    """
    if not ranks.is_main() or mode == "none" or (mode == "auto" and os.environ.get("WANDB_MODE") == "disabled"):
        yield NoLogger()
        return
    try:
        logger = WandbRun(_start(mode, folder, config, say, run))
    except (wandb.Error, ValueError) as error:
        advice = "change the logger's settings or the environment's WANDB_ ones, or leave W&B out with logger=none"
        raise UserError(f"W&B cannot start ({first_line(error)}): {advice}") from error
    exit_code = 1
    try:
        yield logger
        exit_code = 0
    finally:
        logger.run.finish(exit_code=exit_code)  # so that the next run in this process is one of its own


def in_wandb_sweep() -> bool:
    """Whether `wandb agent` started this process: it waits for a run under the id that it has chosen."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def curve_settings(row: Row) -> dict[str, Any]:
    """What distinguishes a run's curve from others, under plain keys that W&B can group runs by.

    Args:
        row: with the schedules' names and the decoder's own settings, as a row of results has them.
    """
    names = {f"{key}_name": row[key] for key in ("schedule", "decode_schedule") if key in row}
    return names | knobs(row)


def _start(
    mode: str, folder: Path, config: Mapping[str, Any], say: Callable[[str], None], run: Mapping[str, Any]
) -> WandbLogger:
    wandb.setup(settings=wandb.Settings(silent=True))
    reason = why_offline(mode)
    if reason:
        say(f"W&B is offline ({reason}); upload this run later with: wandb sync {folder}/wandb/offline-run-*")
    return WandbLogger(
        save_dir=folder,
        config=dict(config),
        mode="offline" if reason else "online",
        settings=wandb.Settings(console="off"),
        **_placed(run),
    )


def _placed(run: Mapping[str, Any]) -> dict[str, Any]:
    if not in_wandb_sweep():
        return dict(run)
    own = {key: value for key, value in run.items() if key not in ("project", "entity", "id")}
    return own | {"group": run.get("group") or os.environ["WANDB_SWEEP_ID"]}


def _best(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The best of each metric in the form of W&B's summary, which forgets those from before a run was resumed."""
    choose = {"min": min, "max": max}
    return {
        f"eval/{metric.key}": {
            metric.better: choose[metric.better](row[metric.key] for row in rows if metric.key in row)
        }
        for metric in registry.of_rows(rows)
        if metric.better is not None
    }


def why_offline(mode: str = "auto") -> str:
    """Why W&B cannot be reached, in a few words; empty if it can."""
    if mode != "auto":
        return "as asked" if mode == "offline" else ""
    if wandb.setup().settings.mode in ("offline", "disabled"):
        return "because of WANDB_MODE"
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
