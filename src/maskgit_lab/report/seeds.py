"""Sentences on the seeds that are compared, where schedules were not all measured with the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from maskgit_lab.ablation.curves import Curve
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.sharing import Comparison, comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.words import format_seeds, label


def shared_seeds(study: Study) -> list[str]:
    """What each schedule was measured with, and what of it is compared, where anything is left out."""
    found = comparison(study)
    if not found.is_partial and (found.seeds or len(found.measured) < 2):
        return []
    measured = f"Not every schedule and T was measured with the same seeds: {_by_schedule(found.measured)}."
    return [f"{measured} {_compared(found)}"]


def _compared(found: Comparison) -> str:
    if not found.seeds:
        return "They share none, so the comparison of best T, table and order is between different seeds."
    steps = {one.x for one in found.compared}
    at = f"at T = {_listed(next(iter(steps)))}" if len(steps) == 1 else f"at these T: {_by_schedule(found.compared)}"
    what = f"Best T, table and order compare {format_seeds(found.seeds)} alone, {at}"
    return f"{what}; the curves show everything."


def _by_schedule(curves: Iterable[Curve]) -> str:
    """Seeds and T of each schedule, those of schedules that have the same together."""
    names: dict[str, list[str]] = defaultdict(list)
    for one in curves:
        names[_measured(one)].append(label(one.schedule))
    return "; ".join(f"{', '.join(several)}: {what}" for what, several in names.items())


def _measured(curve: Curve) -> str:
    """`seeds 0, 1 at T = 4, 8 and seed 0 at T = 16`."""
    steps: dict[tuple[Seeds, ...], list[float]] = defaultdict(list)
    for i, x in enumerate(curve.x):
        steps[tuple(curve.seeds_at(i))].append(x)
    return " and ".join(f"{format_seeds(seeds)} at T = {_listed(several)}" for seeds, several in steps.items())


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
