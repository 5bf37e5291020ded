"""The one number that a search over settings looks at: `optimized_metric`, of the rows that a command shows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.registry import EXACT, LIKELIHOODS, ORIGINAL, Metric
from maskgit_lab.runs.results import Row, over_repeats, samples_in
from maskgit_lab.settings import AUTOREGRESSIVE, CommonConf, TrainConf

NOTE = "optimized"
LINE = re.compile(rf"^{NOTE} +\S+ = (\S+)$", re.MULTILINE)  # in the log of a job


def check_optimized(key: str | None, settings: CommonConf, *, of_edits: bool = False) -> None:
    """Raises a `UserError` for a metric that an evaluation with these settings does not measure.

    Args:
        key: of the metric.
        settings: of the evaluation.
        of_edits: whether edits are evaluated, and not samples.
    """
    asked, extractor = settings.eval.metrics, settings.features.name
    others = (EXACT,) if _has_masks(settings) else LIKELIHOODS
    there = [m for m in _directed() if m.key not in others and (of_edits or m.needs != ORIGINAL)]
    measured = [m for m in there if not m.name or m.name in asked]
    names = [metric.key_on(extractor) for metric in measured]
    if key is not None and key not in names:
        raise UserError(f"optimized_metric={key} is not measured by this command: choose one of {', '.join(names)}")


def is_better_lower(key: str) -> bool:
    """Whether lower values of a metric are better.

    Raises:
        UserError: there is no such metric.
    """
    metric = registry.metric_of(key)
    if metric is None or metric.better is None:
        names = [f"{metric.other}_FEATURES" if metric.other else metric.key for metric in _directed()]
        raise UserError(
            f"optimized_metric={key}: there is no such metric; choose one of {', '.join(names)}, where FEATURES is the "
            "name of the extractor, such as classifier; with features=inception they are fid, sfid and kid"
        )
    return metric.better == "min"


def show_optimized(console: Terminal, key: str | None, rows: Sequence[Row]) -> float | None:
    """Prints the best value of a metric over the rows of a command, repeats averaged, and returns it.

    Raises:
        UserError: no row has it.
    """
    if key is None:
        return None
    averaged = [row for row, _ in over_repeats(samples_in(rows))]
    values = [float(row[key]) for row in averaged if math.isfinite(row.get(key, math.nan))]
    if not values:
        raise UserError(f"optimized_metric={key}: no point has been measured by it; the notes above say why")
    best = min(values) if is_better_lower(key) else max(values)
    console.note(NOTE, f"{key} = {best!r}")
    return best


def printed_value(log: str) -> float | None:
    """The value in the log of a command."""
    found = LINE.findall(log)
    return float(found[-1]) if found else None


def _has_masks(settings: CommonConf) -> bool:
    """Whether the model is trained on masks: another has an exact likelihood in place of those under masks."""
    return not (isinstance(settings, TrainConf) and settings.model == AUTOREGRESSIVE)


def _directed() -> list[Metric]:
    """The metrics that have a better direction."""
    return [metric for metric in registry.TABLE.values() if metric.better is not None]
