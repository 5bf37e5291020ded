"""Curves of several schedules on the seeds that they share, so that none is better for an easier seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from maskgit_lab.ablation.curves import Curve, curves
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.rectangles import largest
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import Metric


@dataclass(frozen=True)
class Comparison:
    """What is compared of curves."""

    measured: Sequence[Curve]  # with everything that was measured
    compared: Sequence[Curve]  # the same without seeds and T that are left out, and so without gaps
    seeds: tuple[Seeds, ...]  # that all of them share; none where they share none

    @cached_property
    def by_schedule(self) -> Mapping[str, Curve]:
        """The compared curves."""
        return {one.schedule: one for one in self.compared}

    @property
    def is_partial(self) -> bool:
        """Whether anything is left out."""
        return any(
            whole.counts_X.sum() > kept.counts_X.sum() for whole, kept in zip(self.measured, self.compared, strict=True)
        )


def compare(measured: Sequence[Curve]) -> Comparison:
    """Curves of one metric on the seeds that all of them share, at the T that have all of these.

    Those are the seeds in the largest gapless part of every curve, so that none loses the T where it is best to a seed
    that has not come so far. If these parts share none, it is those that leave most of the measurements of all curves;
    if the curves share none at all, each keeps its own.
    """
    parts = [frozenset(one.whole.seeds) for one in measured]
    tables = [[set(one.seeds_at(i)) for i in range(len(one.x))] for one in measured]
    seeds = frozenset[Seeds].intersection(*parts) if parts else frozenset[Seeds]()
    seeds = seeds or largest(tables)
    compared = [(one.only(seeds) if seeds else one).whole for one in measured]
    return Comparison(measured, compared, tuple(sorted(seeds)))


def comparison(study: Study, metric: Metric | None = None) -> Comparison:
    """Of all schedules of a study over T, by a metric; None: by the distance."""
    return compare(curves(study.main, metric or study.distance))
