"""Studies: the points of runs that may be compared with each other, and no others."""

from __future__ import annotations

from collections.abc import Iterable

from maskgit_lab.ablation.grouping import families, shared
from maskgit_lab.ablation.order import by_interest
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.temperature import with_choices
from maskgit_lab.ablation.titles import titled


def studies(runs: Iterable[Run], origins: Origins | None = None) -> list[Study]:
    """The studies of runs in the order of their interest, no two of one title; rows of external images belong to none,
    and neither do those of autoregressive models.

    Args:
        runs: all of them, or what was chosen of them.
        origins: where the models of all runs come from; None: as these runs say.
    """
    runs = list(runs)
    known = origins or Origins.of(runs)
    found = [
        [Study(*shared(points, code, known.settings)) for code, points in family]
        for family in families(runs, lambda run: run.points, known)
    ]
    return with_choices(titled(by_interest(found)), runs, known)
