"""The code that measures, and what a row of results says of where it comes from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskgit_lab import git
from maskgit_lab.code import Code, code_of, targets_in
from maskgit_lab.evaluation.reference import SPLITS, real_images
from maskgit_lab.fingerprints import file_sha256, fingerprint
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.registry import Metric
from maskgit_lab.objects import TARGET
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.origin import Origin
from maskgit_lab.runs.results import DROPOUT_PARTS
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf, MVTMConf, TrainConf, evaluation_fingerprint
from maskgit_lab.stages.code import training_code

HERE = "maskgit_lab.evaluation"


def measuring_code(settings: CommonConf, *roots: str) -> Code:
    """Of samples and their metrics, with the classes that settings name.

    Args:
        settings: of the evaluation.
        roots: further modules that it runs.
    """
    metrics = settings.eval.metrics
    named: list[Any] = [settings.data, settings.decode]
    named += [settings.cas.net] if "cas" in metrics and settings.cas is not None else []
    named += [settings.classifier.net] if settings.features.name == "classifier" and settings.classifier else []
    if isinstance(settings, TrainConf):
        transformer = settings.transformer
        named += [settings.tokenizer.net, transformer.net]
        named += [settings.schedule if isinstance(transformer, MVTMConf) else transformer.order]
    if "." in (schedule := settings.decode.get("schedule") or ""):  # a class, and no name
        named.append({TARGET: schedule})
    parts = [
        f"{HERE}.curve",
        f"{HERE}.reconstruction",
        *([f"{HERE}.likelihood"] if {*registry.LIKELIHOODS} & {*metrics} else []),
    ]
    asked = [metric for metric in registry.TABLE.values() if metric.name in metrics]
    return code_of(*parts, *targets_in(named), *(name for metric in asked for name in _modules(metric)), *roots)


def asked_for(settings: TrainConf) -> str:
    """The same for commands that ask for the same to be measured, as far, against the same files."""
    conf = settings.eval
    reference = real_images(conf.reference, None).fingerprint if conf.reference not in SPLITS else conf.reference
    named = [Path(path) for path in (settings.features.weights, conf.precision_weights) if path]
    weights = [file_sha256(path) for path in named if path.is_file()]
    return fingerprint({"settings": evaluation_fingerprint(settings), "reference": reference, "weights": weights})


def origin_of(settings: CommonConf, folder: RunFolder | None, *roots: str) -> Origin:
    """Where the rows of an evaluation come from.

    Args:
        settings: of the evaluation.
        folder: the run that is evaluated, if it is one.
        roots: further modules that it runs.
    """
    about = {**git.commit(), **({"debug": settings.debug} if settings.debug is not None else {})}
    code = measuring_code(settings, *roots)
    if folder is None:
        return Origin(code=code, about=about)
    record = folder.record
    trained = folder.codes.get(record.code)
    return Origin(
        code=code,
        trained_by=record.code,
        training_code=trained,
        reused=record.trained_by,
        accepted=record.accepted,
        about=about | _dropout_parts(record.dropout_parts),
    )


def _dropout_parts(numbers: Sequence[int]) -> dict[str, str]:
    return {DROPOUT_PARTS: ",".join(map(str, numbers))} if numbers else {}


def trained_in_file(origin: Origin, about: Mapping[str, Any]) -> Origin:
    """With the code that trained the model of a file, as the file describes it."""
    code = about.get("training_code")
    if not isinstance(code, dict) or not code:
        return origin
    return replace(origin, trained_by=fingerprint(code), training_code=code)


def known_code(run: Run[CommonConf]) -> tuple[Code, Code]:
    """The code that trains and the code that measures; says which they are, and what it cost to know that."""
    start, settings = time.perf_counter(), run.settings
    trains = training_code(settings) if isinstance(settings, TrainConf) else {}
    measures = measuring_code(settings)
    cost = f"{len({**trains, **measures})} files read in {time.perf_counter() - start:.2f} s"
    state = git.commit()
    tree = f"commit {str(state['commit'])[:7]}{'' if state['clean'] else ' with changes'}, " if state else ""
    run.console.note("code", f"{tree}{cost}")
    return trains, measures


def _modules(metric: Metric) -> list[str]:
    """Where a metric and the function that computes it lie."""
    compute = metric.compute
    computed = [compute if isinstance(compute, str) else compute.__module__] if compute is not None else []
    return [*computed, *([metric.source] if metric.source else [])]
