"""The order of studies: first those that a reader of an ablation came for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import INCEPTION


def by_interest(families: Iterable[Sequence[Study]]) -> list[Study]:
    """All studies, those of older code after the current one.

    First come those that compare several of the paper's schedules over T, then FID with the features of Inception, then
    more seeds, then more points; debug runs are last.

    Args:
        families: studies that differ in the code that they come from, or in what is not known of them.
    """
    within = [sorted(family, key=lambda study: (study.code.age, _interest(study))) for family in families]
    return list(chain(*sorted(within, key=lambda family: min(map(_interest, family)))))


def _interest(study: Study) -> tuple[Any, ...]:
    """Less for more of it."""
    return (
        bool(study.debug),
        not _compares_schedules(study),
        study.features != INCEPTION,
        -len(study.seeds),
        -len(study.points),
        study.code.is_earlier,
        study.heading,
    )


def _compares_schedules(study: Study) -> bool:
    over_steps = [one for one in curves(study.main, study.distance) if len(one.x) > 1]
    return sum(one.schedule in table3() for one in over_steps) > 1
