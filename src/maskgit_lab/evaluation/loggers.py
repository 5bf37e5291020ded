"""What the loggers are given of a run: one log for a training and what is first measured of it, one for whatever else a
command measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from maskgit_lab.evaluation.curve import Evaluation
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.lit.loggers.base import Described
from maskgit_lab.lit.loggers.group import is_owed, logging
from maskgit_lab.lit.loggers.wandb import curve_settings
from maskgit_lab.runs.names import METRICS
from maskgit_lab.runs.naming import data_name
from maskgit_lab.runs.results import TASK
from maskgit_lab.runs.run import Logger, Run
from maskgit_lab.sampling.loading import decoder_of
from maskgit_lab.sampling.transformers import build_order
from maskgit_lab.settings import PLACES, CommonConf, TrainConf, plain

LONGEST_NAME = 128


def training_logger(run: Run[TrainConf], overrides: Sequence[str]) -> AbstractContextManager[Logger]:
    """The loggers of `train.py`."""
    return logging(run.settings.logger, _training(run, overrides))


def owes_training(run: Run[TrainConf], overrides: Sequence[str]) -> bool:
    """Whether a logger of `train.py` lacks something of a run that is finished; every process calls this."""
    return is_owed(run.settings.logger, _training(run, overrides))


def evaluation_logger(
    run: Run[CommonConf], evaluation: Evaluation, overrides: Sequence[str], news: bool
) -> AbstractContextManager[Logger]:
    """The loggers of `evaluate.py`: images of other origin than a model have none.

    Args:
        run: what is evaluated.
        evaluation: its points.
        overrides: of the command.
        news: whether there is anything to log.
    """
    if evaluation.place is None or not evaluation.is_of_model:
        return nullcontext(run.logger)
    about = _evaluation(run, evaluation, evaluation.place, overrides)
    if not (news or is_owed(run.settings.logger, about)):
        return nullcontext(run.logger)
    return logging(run.settings.logger, about)


def _training(run: Run[TrainConf], overrides: Sequence[str]) -> Described:
    record, asked = run.record, run.asked
    is_first = next(iter(record.measured), asked) == asked
    decoder, schedule = decoder_of(run.settings)
    own = {"order": build_order(run.settings).name} if schedule is None else {"schedule": schedule.name}
    own = curve_settings({**own, **decoder.settings})
    kind = run.settings.model if schedule is None else schedule.name
    return Described(
        name=readable_name(overrides) or f"{data_name(run.settings.data or {})} {kind}",
        job_type="train",
        id=record.wandb_id if is_first else f"{record.wandb_id}-{asked}",
        folder=run.folder.path,
        config={**_settings(run), **own, "overrides": list(overrides)},
        say=lambda line: run.console.note("wandb", line),
        history=run.folder.path / METRICS if is_first else None,
    )


def _evaluation(run: Run[CommonConf], evaluation: Evaluation, place: Path, overrides: Sequence[str]) -> Described:
    origin = {"run": run.record.fingerprint} if run.home is not None else {}
    own = curve_settings(evaluation.settings[-1])  # of samples, which follow the held-out images
    return Described(
        name=readable_name(overrides),
        job_type="edit" if TASK in own else "evaluate",
        id=fingerprint({"evaluate": list(overrides), **origin, **own}),
        folder=place,
        config={**_settings(run), **own, "overrides": list(overrides), "origin": origin},
        say=lambda line: run.console.note("wandb", line),
    )


def readable_name(overrides: Sequence[str]) -> str:
    """Overrides as a person writes them, without those of places; of paths, the end."""
    parts = [override.lstrip("+").partition("=") for override in overrides]
    kept = [(key, value) for key, _, value in parts if key.partition(".")[0] not in PLACES]
    return " ".join(f"{key}={value.rstrip('/').rpartition('/')[2]}" for key, value in kept)[:LONGEST_NAME]


def _settings(run: Run[Any]) -> dict[str, Any]:
    """The settings of what is trained and measured, nested as W&B shows and groups them."""
    return {key: value for key, value in plain(run.settings).items() if key not in PLACES or key == "trainer"}
