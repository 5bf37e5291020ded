"""Our order of the schedules against the paper's: Kendall's tau-b, and the claim about their shapes.

Shapes: B resamples, S schedules, R models (of different seeds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from maskgit_lab.ablation.curves import Curve
from maskgit_lab.ablation.permutations import SHAPES, ShapeTest, jonckheere, jonckheere_p, kendall_tau, tau_p
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.resampling import Levels, percentile_interval, resampled
from maskgit_lab.ablation.sharing import compare

FEWEST = 3  # schedules; of two there is no order worth a number
Interval = tuple[float, float] | None
Values = Float[np.ndarray, "B S"]  # the first row is of the models as they are, the others of resamples


@dataclass(frozen=True)
class Agreement:
    """A rank correlation with the paper."""

    tau: float | None  # Kendall's tau-b in [-1, 1]; None where one of the orders is all ties
    interval: Interval  # the 95 % percentile interval; None without several models of each schedule
    n_undefined: int = 0  # resamples without a tau, which the interval leaves out
    p: float | None = None  # of the exact permutation test of no relation, two-sided; None without a tau


@dataclass(frozen=True)
class Ranking:
    """How the schedules rank here and in the paper."""

    schedules: tuple[str, ...]  # of the paper that were measured, from the most concave to the most convex
    ours: tuple[float, ...]  # the distance at each one's best T, mean over models
    papers: tuple[float, ...]  # its FID in Table 3
    order: Agreement  # agreement of the distances with the paper's FID
    shift: Agreement  # agreement of the best T with the paper's
    shapes: ShapeTest | None  # of concave before linear before convex; None where all are of one shape
    bootstrap: int  # resamples
    seeds: tuple[Seeds, ...]  # that all schedules share, and on which they are compared; none where they share none
    levels: Levels  # what the intervals hold
    at_edge: tuple[str, ...] = ()  # schedules whose best T is the first or the last that was compared

    @property
    def our_order(self) -> list[str]:
        """The best first."""
        return [name for _, name in sorted(zip(self.ours, self.schedules, strict=True))]

    @property
    def papers_order(self) -> list[str]:
        """The best first."""
        return [name for _, name in sorted(zip(self.papers, self.schedules, strict=True))]


def rank(curves: Sequence[Curve], *, bootstrap: int, seed: int) -> Ranking | None:
    """Compares distances with the paper's Table 3.

    Args:
        curves: of the distance, one a schedule; those of schedules that are not in the paper are left out, and the
            others are compared on the seeds that they share.
        bootstrap: resamples, in each of which mean, best T and statistics are found anew.
        seed: of the resamples.

    Returns:
        None with fewer than three of the paper's schedules.
    """
    shared = compare([curve for curve in curves if curve.schedule in table3()])
    known = shared.compared
    if len(known) < FEWEST:
        return None
    rows = [table3()[curve.schedule] for curve in known]
    fid_S, steps_S = np.array([row.fid for row in rows]), np.array([float(row.best_steps) for row in rows])
    levels = levels_of(known, shared.seeds)
    ours_BS, best_BS = at_best(known, bootstrap if levels.are_several else 0, np.random.default_rng(seed))
    return Ranking(
        tuple(curve.schedule for curve in known),
        tuple(ours_BS[0].tolist()),
        tuple(fid_S.tolist()),
        agreement_of(ours_BS, fid_S, levels),
        agreement_of(best_BS, steps_S, levels),
        _shapes(known, ours_BS, levels),
        bootstrap,
        shared.seeds,
        levels,
        tuple(curve.schedule for curve in known if curve.is_at_edge),
    )


def at_best(curves: Sequence[Curve], bootstrap: int, generator: np.random.Generator) -> tuple[Values, Values]:
    """The distance at the best T of each curve, and that T: of the models as they are, and of each resample."""
    means = resampled(curves, bootstrap, generator) if bootstrap else [curve.mean_X[None] for curve in curves]
    steps = [np.array(curve.x)[mean_BX.argmin(axis=1)] for curve, mean_BX in zip(curves, means, strict=True)]
    return np.stack([mean_BX.min(axis=1) for mean_BX in means], axis=1), np.stack(steps, axis=1).astype(float)


def levels_of(curves: Sequence[Curve], seeds: tuple[Seeds, ...]) -> Levels:
    """What varies by chance among curves on the seeds that they share."""
    draws = [curve.draws_each for curve in curves]
    return Levels(seeds, (min(fewest for fewest, _ in draws), max(most for _, most in draws)))


def agreement_of(ours_BS: Values, others: Values | Float[np.ndarray, " S"], levels: Levels) -> Agreement:
    """Tau-b of our order of the schedules with another, that of the paper or one that is resampled with ours."""
    taus_B = kendall_tau(ours_BS, others)
    if np.isnan(taus_B[0]):
        return Agreement(None, None)
    measured_S = np.atleast_2d(others)[0]
    tau, p, defined = float(taus_B[0]), tau_p(ours_BS[0], measured_S), taus_B[1:][~np.isnan(taus_B[1:])]
    if not len(defined):
        return Agreement(tau, None, p=p)
    return Agreement(tau, percentile_interval(defined, levels.n_drawn), len(taus_B) - 1 - len(defined), p)


def papers_shapes(schedules: Sequence[str]) -> float:
    """Jonckheere-Terpstra's J of these schedules by the paper's own FID."""
    return float(jonckheere(np.array([[table3()[name].fid for name in schedules]]), shapes_of(schedules))[0])


def shapes_of(schedules: Sequence[str]) -> list[int]:
    """The place of each schedule's shape in the claimed order."""
    return [SHAPES.index(table3()[name].shape) for name in schedules]


def _shapes(curves: Sequence[Curve], ours_BS: Values, levels: Levels) -> ShapeTest | None:
    groups = shapes_of([curve.schedule for curve in curves])
    counts = tuple(groups.count(group) for group in range(len(SHAPES)))
    n_pairs = (sum(counts) ** 2 - sum(n * n for n in counts)) // 2
    if not n_pairs:
        return None
    j_B, (p, n) = jonckheere(ours_BS, groups), jonckheere_p(ours_BS[0], groups)
    each_RS = np.stack([curve.values_RX[:, curve.best] for curve in curves], axis=1) if levels.seeds else ours_BS[:0]
    whole = int((jonckheere(each_RS, groups) == n_pairs).sum())
    interval = percentile_interval(j_B[1:], levels.n_drawn) if len(j_B) > 1 else None
    return ShapeTest(float(j_B[0]), n_pairs, p, n, counts, interval, whole, len(each_RS))
