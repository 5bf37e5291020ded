"""A run in Weights & Biases, through Lightning's logger."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from maskgit_lab.lit.loggers import wandb_service
from maskgit_lab.lit.loggers.base import Described, RunLogger
from maskgit_lab.lit.loggers.curves import curves_over_steps
from maskgit_lab.lit.loggers.lightning import best
from maskgit_lab.lit.loggers.wandb_connection import why_unreachable
from maskgit_lab.lit.loggers.wandb_folders import Folders, mark_uploaded
from maskgit_lab.lit.loggers.wandb_guard import GuardedLogger
from maskgit_lab.lit.loggers.wandb_history import History, TrainingRow, is_logged, on_server, training_rows
from maskgit_lab.metrics import registry
from maskgit_lab.runs.results import OF_EDITS, SAMPLES, Row, grid_path, group_of, knobs, over_repeats, samples_in

FINISH_SECONDS = 30  # that the end of a run may take to upload what is left
# Behind the group of the points, which is `eval` of samples.
STEP = "steps"  # T, the x-axis of the curve
TABLE = "points"
CURVES = "curves"
CONSTANTS = "measured_with"  # in the config: what all points of the run share


class WandbRun(RunLogger):
    """A run in W&B, online or offline.

    Metrics are its history, with T as their x-axis. What all points share, such as the seed or the number of samples,
    is in the config, so that it makes no panels. Every call of W&B goes through a guard, so that none of them fails
    the run or holds it up.

    Args:
        lightning: Lightning's logger of it.
        about: what is logged.
        log_model: whether checkpoints and a table of samples are uploaded as artifacts.
    """

    def __init__(self, lightning: GuardedLogger, about: Described, log_model: bool = False) -> None:
        super().__init__(lightning)
        self.run: wandb.Run = lightning.experiment
        self.guard = lightning.guard
        self.about = about
        self.log_model = log_model
        self.folders = Folders(about.folder, self.run.id)
        self._logged: list[Mapping[str, Any]] = []  # of points, among other things
        self._defined = set[str]()
        self._constants: dict[str, Any] | None = None
        self._answers = True
        self._mode = "offline" if self.run.offline else "online"
        self.folders.begin(self._mode)
        rows = training_rows(about.history)  # before the training goes on
        self.guard(lambda: self._send_missing(rows))

    def earlier(self, rows: Sequence[Row]) -> None:
        """Logs those points of earlier commands that W&B does not have."""
        self.guard(lambda: self._earlier(rows))

    def point(self, row: Row) -> None:
        """Logs one point of the curve; T, `eval/steps`, is its x-axis. Points of edits have a group of their own in the
        place of `eval`, such as `inpaint_center50`.
        """
        self.guard(lambda: self._point(row))

    def points(self, rows: Sequence[Row]) -> None:
        """Logs all points as one table, `eval/points`, in place of the last one, their curves over T on a logarithmic
        axis, and the best of each metric with its T.
        """
        if rows:
            self.guard(lambda: self._points(rows))

    def scores(self, group: str, scores: Mapping[str, float]) -> None:
        """Keeps numbers that are measured once in a run in its summary."""
        self.guard(lambda: self.run.summary.update({f"{group}/{key}": value for key, value in scores.items()}))

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """Logs PNG files as media."""
        at = {} if step is None else {"trainer/global_step": step}
        named = {f"pictures/{name}": str(path) for name, path in pictures.items()}
        self.guard(lambda: self.run.log({name: wandb.Image(path) for name, path in named.items()} | at))

    def checkpoints(self, paths: Sequence[Path]) -> None:
        """Uploads checkpoints as an artifact, if that is asked for."""
        if self.log_model and paths:
            self.guard(lambda: self._upload("model", paths))

    def close(self, failed: bool) -> None:
        """Finishes the W&B run, so that the next run in this process is one of its own; does not wait for a server
        that is gone.
        """
        folder = self.run.settings.sync_dir
        self.guard(lambda: self.run.finish(exit_code=int(failed)))
        is_sent = self.guard.end(FINISH_SECONDS)
        if self.guard.has_failed:
            wandb_service.stop()  # it may be stuck, or have ended itself
        elif self._mode == "online" and self._answers:
            is_sent = not why_unreachable()  # W&B drops what such a server does not take
        if is_sent and not self.guard.has_failed:
            self.folders.end(self._mode)
        if not is_sent:
            self.about.say(
                f"W&B did not receive everything within {FINISH_SECONDS} s, but all of it is on disk: the same "
                f"command sends the rest later, and so does `wandb sync --include-online {folder}`"
            )

    def _send_missing(self, rows: Sequence[TrainingRow]) -> None:
        """Logs what was logged of the training before and W&B does not have."""
        self._define(SAMPLES)
        if self.run.offline:
            history = History(self.folders.history())
        else:
            history = History(on_server(self.run) if self.run.resumed else ())
        self._logged += history.others
        for lost in history.lacks(rows):
            self.run.log(lost)
        for folder in self.folders.offline() if not self.run.offline else ():
            mark_uploaded(folder)  # a second upload would append it all once more

    def _earlier(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if not is_logged(_measured(row), self._logged):
                self._point(row)

    def _point(self, row: Row) -> None:
        self._define(group := group_of([row]))
        row = {key: value for key, value in row.items() if key != "checksum"}
        measured = {key: value for key, value in row.items() if registry.is_measured(key)}
        for key in measured:  # by name: which of two patterns W&B follows is left to chance
            metric = registry.metric_of(key)
            summary = metric.better if metric else None
            self.run.define_metric(f"{group}/{key}", step_metric=f"{group}/{STEP}", summary=summary)
        constants = self._shared(row)
        other = {key: value for key, value in row.items() if key not in measured and constants.get(key) != value}
        self.run.log({f"{group}/{key}": value for key, value in (other | measured).items()})
        self._logged.append(_measured(row))

    def _points(self, rows: Sequence[Row]) -> None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        cells = [[row.get(key) for key in columns] for row in rows]
        means, group = [row for row, _ in over_repeats(rows)], group_of(samples_in(rows))
        self.run.summary.update(_best(means) | best(rows))
        if (figure := curves_over_steps(means)) is not None:
            self.run.log({f"{group}/{CURVES}": wandb.Plotly(figure)})
        self._ask(lambda: self.run.log({f"{group}/{TABLE}": wandb.Table(columns=[*columns], data=cells)}))
        if self.log_model:
            self._log_samples(rows)

    def _upload(self, kind: str, paths: Sequence[Path]) -> None:
        artifact = wandb.Artifact(f"{kind}-{self.run.id}", kind)
        for path in paths:
            artifact.add_file(str(path))
        self._ask(lambda: self.run.log_artifact(artifact))

    def _ask(self, send: Callable[[], object]) -> None:
        """Sends a table or files, for which W&B asks its server something and takes twenty seconds if that is gone."""
        if not self._answers:
            return
        if not self.run.offline and (reason := why_unreachable()):
            self._answers = False
            self.guard.fail(reason)
            return
        send()

    def _define(self, group: str) -> None:
        """Gives the points of a group T as their x-axis."""
        if group not in self._defined:
            self._defined.add(group)
            self.run.define_metric(f"{group}/{STEP}", hidden=True)
            self.run.define_metric(f"{group}/*", step_metric=f"{group}/{STEP}")

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


def in_wandb_sweep() -> bool:
    """Whether `wandb agent` started this process: it waits for a run under the id that it has chosen."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def curve_settings(row: Row) -> dict[str, Any]:
    """What distinguishes a run's curve from others, under plain keys that W&B can group runs by.

    Args:
        row: with the schedules' names and the decoder's own settings, as a row of results has them.
    """
    names = {f"{key}_name": row[key] for key in ("schedule", "decode_schedule", "order") if key in row}
    return names | {key: row[key] for key in OF_EDITS if key in row} | knobs(row)


def _best(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The best of each metric in the form of W&B's summary, which forgets those from before a run was resumed."""
    choose, samples = {"min": min, "max": max}, samples_in(rows)
    return {
        f"{group_of(samples)}/{metric.key}": {
            metric.better: choose[metric.better](row[metric.key] for row in samples if metric.key in row)
        }
        for metric in registry.of_rows(samples)
        if metric.better is not None
    }


def _measured(row: Row) -> dict[str, Any]:
    """What is logged of a point wherever it was measured: its T and its metrics."""
    group = group_of([row])
    return {f"{group}/{key}": value for key, value in row.items() if key == STEP or registry.is_measured(key)}
