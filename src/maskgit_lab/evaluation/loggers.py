"""The runs in W&B: one for a training and what is first measured of it, one for whatever else a command measures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from maskgit_lab.evaluation.curve import Evaluation
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.lit.logger import curve_settings, logging_to_wandb
from maskgit_lab.runs.naming import run_name
from maskgit_lab.runs.run import Logger, Run
from maskgit_lab.sampling.loading import decoder_of
from maskgit_lab.settings import CommonConf, TrainConf, plain


def training_logger(run: Run[TrainConf], overrides: Sequence[str]) -> AbstractContextManager[Logger]:
    """The logger of `train.py`."""
    record, asked = run.record, run.asked
    is_first = next(iter(record.measured), asked) == asked
    decoder, schedule = decoder_of(run.settings)
    return logging_to_wandb(
        **plain(run.settings.logger),
        name=run_name(overrides),
        job_type="train",
        id=record.wandb_id if is_first else f"{record.wandb_id}-{asked}",
        folder=run.folder.path,
        config=plain(run.settings) | curve_settings({"schedule": schedule.name, **decoder.settings}),
        say=lambda line: run.console.note("wandb", line),
    )


def evaluation_logger(
    run: Run[CommonConf], evaluation: Evaluation, overrides: Sequence[str], news: bool
) -> AbstractContextManager[Logger]:
    """The logger of `evaluate.py`: images of other origin than a model have none.

    Args:
        run: what is evaluated.
        evaluation: its points.
        overrides: of the command.
        news: whether there is anything to log.
    """
    if evaluation.place is None or not evaluation.is_of_model or not news:
        return nullcontext(run.logger)
    of_run = {"run": run.record.fingerprint} if run.home is not None else {}
    config = {**of_run, **curve_settings(evaluation.settings[0])}
    return logging_to_wandb(
        **plain(run.settings.logger),
        name=run_name(overrides),
        job_type="evaluate",
        id=fingerprint({"evaluate": list(overrides), **config}),
        folder=evaluation.place,
        config={"overrides": list(overrides), **config},
        say=lambda line: run.console.note("wandb", line),
    )
