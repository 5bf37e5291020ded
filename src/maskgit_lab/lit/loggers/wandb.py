"""Weights & Biases through Lightning's logger: online where it can be, else offline with a word on how to upload."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from lightning.pytorch.loggers import WandbLogger

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.lit.loggers import wandb_service
from maskgit_lab.lit.loggers.base import Described, RunLogger
from maskgit_lab.lit.loggers.curves import curves_over_steps
from maskgit_lab.lit.loggers.lightning import best
from maskgit_lab.metrics import registry
from maskgit_lab.runs.results import Row, grid_path, knobs, over_repeats, samples_in
from maskgit_lab.settings import LoggerConf

CONNECT_SECONDS = 2.0
FINISH_SECONDS = 60  # that the end of a run may take to upload what is left
STEP = "eval/steps"  # T, the x-axis of the curve
TABLE = "eval/points"
CURVES = "eval/curves"
CONSTANTS = "measured_with"  # in the config: what all points of the run share


class WandbRun(RunLogger):
    """A run in W&B, online or offline.

    Metrics are its history, with T as their x-axis. What all points share, such as the seed or the number of samples,
    is in the config, so that it makes no panels.

    Args:
        lightning: Lightning's logger of it.
        about: what is logged.
        log_model: whether checkpoints and a table of samples are uploaded as artifacts.
    """

    def __init__(self, lightning: WandbLogger, about: Described, log_model: bool = False) -> None:
        super().__init__(lightning)
        self.run = lightning.experiment
        self.about = about
        self.log_model = log_model
        self.run.define_metric(STEP, hidden=True)
        self.run.define_metric("eval/*", step_metric=STEP)
        self._constants: dict[str, Any] | None = None
        self._answers = True

    @property
    def is_fresh(self) -> bool:
        """Whether it has no points yet: a run that is offline cannot be asked."""
        return not self.run.resumed

    def point(self, row: Row) -> None:
        """Logs one point of the curve; T, `eval/steps`, is its x-axis."""
        row = {key: value for key, value in row.items() if key != "checksum"}
        measured = {key: value for key, value in row.items() if registry.is_measured(key)}
        for key in measured:  # by name: which of two patterns W&B follows is left to chance
            metric = registry.metric_of(key)
            self.run.define_metric(f"eval/{key}", step_metric=STEP, summary=metric.better if metric else None)
        constants = self._shared(row)
        other = {key: value for key, value in row.items() if key not in measured and constants.get(key) != value}
        self.run.log({f"eval/{key}": value for key, value in (other | measured).items()})

    def points(self, rows: Sequence[Row]) -> None:
        """Logs all points as one table, `eval/points`, in place of the last one, their curves over T on a logarithmic
        axis, and the best of each metric with its T.
        """
        if not rows:
            return
        columns = list(dict.fromkeys(key for row in rows for key in row))
        cells = [[row.get(key) for key in columns] for row in rows]
        means = [row for row, _ in over_repeats(rows)]
        self.run.summary.update(_best(means) | best(rows))
        if (figure := curves_over_steps(means)) is not None:
            self.run.log({CURVES: wandb.Plotly(figure)})
        self._ask(lambda: self.run.log({TABLE: wandb.Table(columns=[*columns], data=cells)}))
        if self.log_model:
            self._log_samples(rows)

    def scores(self, group: str, scores: Mapping[str, float]) -> None:
        """Keeps numbers that are measured once in a run in its summary."""
        self.run.summary.update({f"{group}/{key}": value for key, value in scores.items()})

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """Logs PNG files as media."""
        at = {} if step is None else {"trainer/global_step": step}
        self.run.log({f"pictures/{name}": wandb.Image(str(path)) for name, path in pictures.items()} | at)

    def checkpoints(self, paths: Sequence[Path]) -> None:
        """Uploads checkpoints as an artifact, if that is asked for."""
        if self.log_model and paths:
            artifact = wandb.Artifact(f"model-{self.run.id}", "model")
            for path in paths:
                artifact.add_file(str(path))
            self._ask(lambda: self.run.log_artifact(artifact))

    def close(self, failed: bool) -> None:
        """Finishes the W&B run, so that the next run in this process is one of its own; does not wait for a server
        that is gone.
        """
        folder = self.run.settings.sync_dir
        if not wandb_service.finish(self.run, int(failed), FINISH_SECONDS):
            self.about.say(
                f"W&B did not answer within {FINISH_SECONDS} s: all of the run is on the disk; upload the rest later "
                f"with: `wandb sync --include-online {folder}`"
            )

    def _ask(self, send: Callable[[], object]) -> None:
        """Sends a table or files, for which W&B asks its server something; if that is gone, the run goes on without."""
        if not self._answers:
            return
        try:
            reason = "" if self.run.offline else _why_unreachable()  # in two seconds; W&B takes twenty
            if not reason:
                send()
                return
        except wandb.Error as error:
            reason = first_line(error)
        self._answers = False
        self.about.say(f"W&B does not answer ({reason}): tables and files are not sent; the folder of the run has them")

    def _shared(self, row: Row) -> Mapping[str, Any]:
        """What all points share: the settings and the origin of the first, without T."""
        if self._constants is None:
            known = self.run.config.get(CONSTANTS)  # of a run that is resumed
            own = {key: row[key] for key in row if not registry.is_measured(key) and key != "steps"}
            self._constants = dict(known or own)
            if not known:
                self.run.config.update({CONSTANTS: own}, allow_val_change=True)
        return self._constants

    def _log_samples(self, rows: Sequence[Row]) -> None:
        """Uploads a table of the sample grid at each T as an artifact."""
        paths = [(row.get("steps"), grid_path(self.about.folder, row)) for row in samples_in(rows)]
        if found := {steps: path for steps, path in paths if path.exists()}:
            cells = [[steps, wandb.Image(str(path))] for steps, path in found.items()]
            artifact = wandb.Artifact(f"samples-{self.run.id}", "samples")
            artifact.add(wandb.Table(columns=["T", "samples"], data=cells), "samples")
            self._ask(lambda: self.run.log_artifact(artifact))


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
    if conf.mode == "none" or (conf.mode == "auto" and os.environ.get("WANDB_MODE") == "disabled"):
        return None
    try:
        return _start(conf, own, about)
    except (wandb.Error, ValueError, TypeError) as error:
        advice = "change the logger's settings or the environment's WANDB_ ones, or leave W&B out with logger=none"
        raise UserError(f"W&B cannot start ({first_line(error)}): {advice}") from error


def in_wandb_sweep() -> bool:
    """Whether `wandb agent` started this process: it waits for a run under the id that it has chosen."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def curve_settings(row: Row) -> dict[str, Any]:
    """What distinguishes a run's curve from others, under plain keys that W&B can group runs by.

    Args:
        row: with the schedules' names and the decoder's own settings, as a row of results has them.
    """
    names = {f"{key}_name": row[key] for key in ("schedule", "decode_schedule", "order") if key in row}
    return names | knobs(row)


def _start(conf: LoggerConf, own: Mapping[str, Any], about: Described) -> WandbRun:
    wandb.setup(settings=wandb.Settings(silent=True))
    reason = why_offline(conf.mode)
    if reason:
        about.say(
            f"W&B is offline ({reason}); upload this run later with: `wandb sync {about.folder}/wandb/offline-run-*`"
        )
    named = {"name": about.name, "job_type": about.job_type, "id": about.id, "tags": conf.tags or None}
    run = {"project": conf.project, "entity": conf.entity, "group": conf.group, "notes": conf.notes, **named, **own}
    logger = WandbLogger(
        save_dir=about.folder,
        config=dict(about.config),
        mode="offline" if reason else "online",
        settings=wandb.Settings(console="off"),
        **_placed(run),
    )
    return WandbRun(logger, about, conf.log_model)


def _placed(run: Mapping[str, Any]) -> dict[str, Any]:
    if not in_wandb_sweep():
        return dict(run)
    own = {key: value for key, value in run.items() if key not in ("project", "entity", "id")}
    return own | {"group": run.get("group") or os.environ["WANDB_SWEEP_ID"]}


def _best(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The best of each metric in the form of W&B's summary, which forgets those from before a run was resumed."""
    choose, samples = {"min": min, "max": max}, samples_in(rows)
    return {
        f"eval/{metric.key}": {
            metric.better: choose[metric.better](row[metric.key] for row in samples if metric.key in row)
        }
        for metric in registry.of_rows(samples)
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
    return _why_unreachable()


def _why_unreachable() -> str:
    url = urlparse(wandb.setup().settings.base_url)
    try:
        address = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
        socket.create_connection(address, CONNECT_SECONDS).close()
    except OSError:
        return f"no connection to {url.hostname}"
    return ""
