"""Any logger of Lightning's as the logger of a run, and what TensorBoard can show besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger as LightningLogger
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image

from maskgit_lab.fingerprints import flatten
from maskgit_lab.lit.loggers.base import Described, RunLogger
from maskgit_lab.metrics import registry
from maskgit_lab.runs.results import SAMPLES, Row, group_of, over_repeats, samples_in


class LightningRun(RunLogger):
    """Gives a logger the settings of the run, the metrics with T as their step, and pictures if it has `log_image`."""

    def __init__(self, lightning: LightningLogger, about: Described) -> None:
        super().__init__(lightning)
        self.lightning = lightning
        self.about = about
        self.log_settings({})

    def earlier(self, rows: Sequence[Row]) -> None:
        """Logs them: it cannot be asked, and a point that is logged again has the same value at the same T."""
        for row in rows:
            self.point(row)

    def point(self, row: Row) -> None:
        """Logs what was measured; T is the step."""
        self.lightning.log_metrics(measured(row), step=int(row.get("steps", 0)))

    def scores(self, group: str, scores: Mapping[str, float]) -> None:
        """Logs numbers that are measured once in a run."""
        self.lightning.log_metrics({f"{group}/{key}": value for key, value in scores.items()}, step=0)

    def points(self, rows: Sequence[Row]) -> None:
        """Logs the best of each metric beside the settings."""
        if rows:
            self.log_settings({key: value for key, value in best(rows).items() if isinstance(value, float)})
            self.lightning.save()

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """Logs pictures by Lightning's own method for them, which only some loggers have."""
        if (log_image := getattr(self.lightning, "log_image", None)) is not None:
            for name, path in pictures.items():
                log_image(key=f"pictures/{name}", images=[str(path)], step=step or 0)

    def log_settings(self, metrics: Mapping[str, float]) -> None:
        """Logs the settings of the run."""
        self.lightning.log_hyperparams(flatten(dict(self.about.config)))

    def close(self, failed: bool) -> None:
        """Ends the log."""
        self.lightning.finalize("failed" if failed else "success")


class TensorBoardRun(LightningRun):
    """Event files in `tensorboard/`, which `tensorboard --logdir FOLDER` shows."""

    lightning: TensorBoardLogger

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """Logs PNG files as images."""
        for name, path in pictures.items():
            pixels = np.asarray(Image.open(path).convert("RGB"))
            self.lightning.experiment.add_image(f"pictures/{name}", pixels, step or 0, dataformats="HWC")

    def log_settings(self, metrics: Mapping[str, float]) -> None:
        """Logs the settings once the metrics are known, which TensorBoard shows in one table with them."""
        if metrics:
            settings = {key: _plain(value) for key, value in flatten(dict(self.about.config)).items()}
            self.lightning.log_hyperparams(settings, dict(metrics))


def measured(row: Row) -> dict[str, float]:
    """The metrics of a row, as `eval/KEY`; see `group_of`."""
    return {
        f"{group_of([row])}/{key}": float(value)
        for key, value in row.items()
        if registry.is_measured(key) and isinstance(value, int | float)
    }


def best(rows: Sequence[Row]) -> dict[str, float | int]:
    """The best value of each metric, as `best/KEY`, and the T that it is at, as `best/KEY_T`; repeats are averaged.

    Of edits they are `inpaint_center50/best/KEY` and the like.
    """
    found: dict[str, float | int] = {}
    samples = [row for row, _ in over_repeats(samples_in(rows))]
    prefix = "best" if (group := group_of(samples)) == SAMPLES else f"{group}/best"
    choose = {"min": min, "max": max}
    for metric in registry.of_rows(samples):
        if metric.better is not None:
            row = choose[metric.better]((row for row in samples if metric.key in row), key=lambda row: row[metric.key])
            found[f"{prefix}/{metric.key}"] = row[metric.key]
            found |= {f"{prefix}/{metric.key}_T": row["steps"]} if "steps" in row else {}
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)
