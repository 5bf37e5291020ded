"""What an evaluation is asked for: its settings, the metrics that what is at hand allows, and the classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation import chosen
from maskgit_lab.evaluation.floors import Floor
from maskgit_lab.evaluation.reference import SPLITS, RealImages, check_published
from maskgit_lab.evaluation.scorer import choices_of
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.pretrained import check_size
from maskgit_lab.metrics.registry import INCEPTION
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.loading import is_autoregressive_file, is_run
from maskgit_lab.settings import (
    AUTOREGRESSIVE,
    CommonConf,
    EvalConf,
    EvaluateConf,
    FeaturesConf,
    TrainConf,
    check_decoding,
    plain,
    replaced,
)
from maskgit_lab.settings import tokenizer_file as given_tokenizer

GROUPS = ("data", "decode", "features", "classifier", "cas", "eval")
NEED_DATA = (*registry.LIKELIHOODS, "cas", "memorised")  # without a run these are computed only if they are asked for


def check_arguments(settings: EvaluateConf) -> None:
    """Raises a `UserError` unless the settings of `evaluate.py` name one thing to evaluate."""
    if (settings.checkpoint is None) == (settings.samples is None):
        raise UserError("give either checkpoint=RUN_DIR, or samples=FOLDER_OR_NPZ with eval.reference=FOLDER_OR_NPZ")
    reference, steps = settings.eval.get("reference"), settings.decode.get("steps") or settings.eval.get("steps")
    if settings.samples is not None and reference is None:
        raise UserError(
            "samples needs a reference: give eval.reference=FOLDER_OR_NPZ, or data=NAME and eval.reference=train"
        )
    if settings.checkpoint is None:
        return
    tokenizer = given_tokenizer(settings.tokenizer)
    if is_run(Path(settings.checkpoint)):
        if tokenizer is not None:
            raise UserError(f"{settings.checkpoint} is a run with a tokenizer of its own: leave tokenizer.weights out")
        return
    has_no_steps = _has_no_steps(Path(settings.checkpoint))
    check_decoding(settings.decode, autoregressive=has_no_steps)
    for key, value in (("out", settings.out), ("decode.steps", steps), ("eval.reference", reference)):
        if value is None and not (has_no_steps and key == "decode.steps"):
            raise UserError(f"{key} is needed, since {settings.checkpoint} is not a run: give {key}=VALUE")


def _has_no_steps(path: Path) -> bool:
    """Whether a file holds an autoregressive model; one that is absent or damaged is found later."""
    try:
        return is_autoregressive_file(path)
    except UserError:
        return False


def settings_of(settings: EvaluateConf, folder: RunFolder | None) -> CommonConf:
    """The settings of an evaluation: the run's own, or defaults without a run, with what `evaluate.py` is given."""
    given: dict[str, Any] = {group: value for group in GROUPS if (value := getattr(settings, group))}
    given |= {key: value for key in ("seed", "max_images") if (value := getattr(settings, key)) is not None}
    given |= {key: plain(settings)[key] for key in ("wait", "rerun", "reuse", "logger")}
    is_autoregressive = folder is not None and folder.settings().model == AUTOREGRESSIVE
    steps = settings.decode.get("steps") or settings.eval.get("steps")  # its other name
    check_decoding({**settings.decode, "steps": steps}, autoregressive=is_autoregressive)
    if "decode" in given:
        given["decode"] = chosen.resolved(given["decode"], folder)
    given["cache_dir"] = _cache(settings, folder)
    hardware = plain(settings.trainer)
    if folder is not None:
        own = folder.settings()
        given["trainer"] = {**hardware, "precision": hardware["precision"] or own.trainer.precision}
        return replaced(own, TrainConf, given)
    given["trainer"] = {**hardware, "precision": hardware["precision"] or "32-true"}
    metrics = [name for name in registry.names() if name not in NEED_DATA]
    base = CommonConf(features=FeaturesConf(name=INCEPTION), eval=EvalConf(metrics=metrics))
    return replaced(base, CommonConf, given)


def needs_data(settings: CommonConf) -> bool:
    """Whether the evaluation of a run needs the images that it was trained on."""
    conf = settings.eval
    wants_cas = "cas" in conf.metrics and settings.cas is not None
    return conf.reference in SPLITS or settings.features.name == "classifier" or wants_cas or conf.n_samples is None


def check_classes(folder: RunFolder, data: ImageData) -> None:
    """Raises a `UserError` if the data have another number of classes than the run."""
    if data.n_classes != folder.data.n_classes:
        raise UserError(
            f"the data have {data.n_classes} classes and the run was trained on {folder.data.n_classes}: give the "
            "images that it was trained on"
        )


def check_evaluation(settings: CommonConf, data: ImageData | None, real: RealImages, size: int) -> None:
    """Raises a `UserError` for an evaluation that cannot be, before anything is computed for it.

    Args:
        settings: of the evaluation.
        data: the real images, if there are any.
        real: the images of the reference.
        size: height and width of the samples in pixels.
    """
    choices, conf = choices_of(settings.eval), settings.eval
    n_samples = len(data.train) if conf.n_samples is None and data is not None else conf.n_samples
    if n_samples is not None:  # else `labels_of` asks for it
        choices.check(n_samples)
    real.check((size, size), choices, conf.reference_features)
    for extractor in {settings.features.name, conf.precision_features} - {None}:
        check_size(str(extractor), (size, size))
        check_published(real, str(extractor))


def possible_metrics(
    run: Run[CommonConf], data: ImageData | None, floors: Sequence[Floor], *, has_codes: bool, has_classes: bool = True
) -> tuple[str, ...]:
    """The metrics that are asked for, without those that what is at hand does not allow, which are named.

    Args:
        run: its settings name the metrics.
        data: the real images, if there are any.
        floors: held-out images that are measured beside the samples.
        has_codes: whether there are held-out codes, for their likelihood.
        has_classes: whether the samples have classes, for CAS.
    """
    asked = set(run.settings.eval.metrics)
    for name in registry.LIKELIHOODS:
        if name in asked and not has_codes:
            asked.remove(name)
            run.console.note(name, "left out: the codes of the held-out images are not available")
    if "cas" in asked and not (has_classes and run.settings.cas is not None and data is not None):
        asked.remove("cas")
        run.console.note("cas", "left out: it needs real images, samples with classes, and a classifier (cas=small)")
    if "memorised" in asked and not (floors and run.settings.eval.reference == "train"):
        asked.remove("memorised")
        run.console.note("memorised", "left out: it needs held-out images, and eval.reference=train")
    return tuple(sorted(asked))


def labels_of(settings: CommonConf, data: ImageData | None, n_classes: int) -> Tensor:
    """The classes of the samples, sorted: those of the training images, or as many of each class.

    Raises:
        UserError: neither their number nor training images are given.
    """
    count = settings.eval.n_samples
    if count is not None:
        return torch.arange(count) * n_classes // count
    if data is None:
        raise UserError("eval.n_samples is needed: give the number of samples for each T, such as eval.n_samples=50000")
    return data.train.labels.sort().values


def _cache(settings: EvaluateConf, folder: RunFolder | None) -> str:
    if settings.cache_dir is not None:
        return settings.cache_dir
    return CommonConf.cache_dir if folder is None else str(folder.cache)
