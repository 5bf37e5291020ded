"""What is known of a job before it is launched: that it makes sense, and whether its results are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskgit_lab.commands import evaluate
from maskgit_lab.evaluation.code import asked_for, measuring_code, origin_of
from maskgit_lab.evaluation.optimized import check_optimized
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.runs.lease import is_held
from maskgit_lab.runs.naming import LOCK, find_run
from maskgit_lab.runs.opening import Wanted, existing
from maskgit_lab.runs.origin import check_rows
from maskgit_lab.runs.store import WEIGHTS, manifests
from maskgit_lab.settings import EvaluateConf, TrainConf
from maskgit_lab.stages.code import training_code
from maskgit_lab.stages.tokenizer import tokenizer_config

PARTS_OF_CACHE = ("tokenizer", "tokens")  # stages that fill the cache and go no further


def is_finished(settings: Any, overrides: Sequence[str]) -> bool:
    """Whether a job has nothing to do.

    Args:
        settings: of its command.
        overrides: of its command.

    Raises:
        UserError: it cannot work.
        Stale: other code trained or measured it, and the settings do not say what to do about that.
    """
    if isinstance(settings, EvaluateConf):
        evaluate.check(settings)
    if not isinstance(settings, TrainConf):
        return False
    check_optimized(settings.optimized_metric, settings)
    return _is_measured(settings, overrides)


def is_running(settings: Any) -> bool:
    """Whether a command works in the run of a job; evaluations of one run take turns, so they are launched anyway."""
    if not isinstance(settings, TrainConf) or (run := find_run(settings)) is None:
        return False
    return is_held(run / LOCK)


def is_cold(settings: Any) -> bool:
    """Whether a training will begin with a tokenizer, or codes of it, that nobody has made yet."""
    if not isinstance(settings, TrainConf) or settings.stage in PARTS_OF_CACHE or settings.tokens.path is not None:
        return False
    conf, cache = settings.tokenizer, Path(settings.cache_dir)
    wanted = json.loads(json.dumps(tokenizer_config(conf)))
    made = manifests(cache, "tokenizer")
    known = {each["files"].get(WEIGHTS) for each in made if each["ingredients"].get("config") == wanted}
    if conf.weights is not None and (file := Path(conf.weights)).is_file():
        known = {file_sha256(file)}
    return not any(each["ingredients"].get("tokenizer") in known for each in manifests(cache, "tokens"))


def _is_measured(settings: TrainConf, overrides: Sequence[str]) -> bool:
    """Whether the run of these settings has all that they ask for."""
    run = existing(Wanted(settings, overrides, training_code(settings)))
    if run is None:
        return False
    asked = asked_for(settings)
    points = run.record.measured.get(asked, [])
    if not (settings.rerun or settings.reuse):
        check_rows(run.results, points, origin_of(settings, run))
    return run.is_measured(settings.stage, asked, measuring_code(settings))
