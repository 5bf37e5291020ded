"""What is known of a job before it is launched: that it makes sense, and whether its results are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskgit_lab.commands import evaluate
from maskgit_lab.evaluation.code import asked_for, measuring_code, origin_of
from maskgit_lab.evaluation.optimized import check_optimized
from maskgit_lab.runs.opening import Wanted, existing
from maskgit_lab.runs.origin import check_rows
from maskgit_lab.settings import EvaluateConf, TrainConf
from maskgit_lab.stages.code import training_code


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
