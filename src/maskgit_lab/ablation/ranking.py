"""Our order of the schedules against the paper's: Kendall's tau, with an interval by bootstrap over seeds.

Shapes: B resamples, S schedules, R repeats, X numbers of decoding steps T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from maskgit_lab.ablation.curves import Curve
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.sharing import compare

FEWEST = 3  # schedules; of two there is no order worth a number
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Agreement:
    """A rank correlation with the paper."""

    tau: float | None  # Kendall's tau-b in [-1, 1]; None where one of the orders is all ties
    interval: tuple[float, float] | None  # the 95 % percentile interval; None without repeats
    n_undefined: int = 0  # resamples without a tau, which the interval leaves out


@dataclass(frozen=True)
class Ranking:
    """How the schedules rank here and in the paper."""

    schedules: tuple[str, ...]  # of the paper that were measured, from the most concave to the most convex
    ours: tuple[float, ...]  # the distance at each one's best T, mean over repeats
    papers: tuple[float, ...]  # its FID in Table 3
    repeats: tuple[int, ...]  # for each schedule
    order: Agreement  # agreement of the distances with the paper's FID
    shift: Agreement  # agreement of the best T with the paper's
    bootstrap: int  # resamples
    seeds: tuple[int, ...]  # that all schedules share, and on which they are compared; none where they share none

    @property
    def our_order(self) -> list[str]:
        """The best first."""
        return [name for _, name in sorted(zip(self.ours, self.schedules, strict=True))]

    @property
    def papers_order(self) -> list[str]:
        """The best first."""
        return [name for _, name in sorted(zip(self.papers, self.schedules, strict=True))]


def kendall_tau(first_BS: Float[np.ndarray, "B S"], second_S: Float[np.ndarray, " S"]) -> Float[np.ndarray, " B"]:
    """Tau-b of each row with one other ranking, in [-1, 1]; NaN where either is all ties.

    For all resamples at once, since a call of SciPy for each would take longer than the rest of the report.
    """
    i, j = np.triu_indices(len(second_S), k=1)
    first, second = np.sign(first_BS[:, i] - first_BS[:, j]), np.sign(second_S[i] - second_S[j])
    untied = np.sqrt((first != 0).sum(axis=1) * (second != 0).sum())
    return np.divide(first @ second, untied, out=np.full(len(first_BS), np.nan), where=untied > 0)


def rank(curves: Sequence[Curve], *, bootstrap: int, seed: int) -> Ranking | None:
    """Compares distances with the paper's Table 3.

    Args:
        curves: of the distance, one a schedule; those of schedules that are not in the paper are left out, and the
            others are compared on the seeds that they share.
        bootstrap: resamples: within each schedule, its repeats are drawn with replacement, and mean, best T and tau
            are found anew.
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
    generator = np.random.default_rng(seed)
    resampled = [_resample(curve, bootstrap, generator) for curve in known]
    ours_BS, best_BS = (np.stack(columns, axis=1) for columns in zip(*resampled, strict=True))
    repeats = tuple(len(curve.values_RX) for curve in known)
    order = _agreement(kendall_tau(ours_BS, fid_S), max(repeats))
    shift = _agreement(kendall_tau(best_BS, steps_S), max(repeats))
    names = tuple(curve.schedule for curve in known)
    return Ranking(
        names, tuple(ours_BS[0].tolist()), tuple(fid_S.tolist()), repeats, order, shift, bootstrap, shared.seeds
    )


def _resample(
    curve: Curve, bootstrap: int, generator: np.random.Generator
) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """Distance at the best T, and the best T, of a curve without gaps; the first is of the repeats as they are."""
    n = len(curve.values_RX)
    drawn_BR = np.vstack([np.arange(n), generator.integers(n, size=(bootstrap, n))])
    mean_BX = curve.values_RX[drawn_BR].mean(axis=1)
    return mean_BX.min(axis=1), np.array(curve.x, dtype=float)[mean_BX.argmin(axis=1)]


def _agreement(taus_B: Float[np.ndarray, " B"], most_repeats: int) -> Agreement:
    """The first is of the repeats as they are."""
    tau = None if np.isnan(taus_B[0]) else float(taus_B[0])
    resampled = taus_B[1:]
    defined = resampled[~np.isnan(resampled)]
    if tau is None or most_repeats < 2 or not len(defined):
        return Agreement(tau, None)
    low, high = np.percentile(defined, PERCENTILES)
    return Agreement(tau, (float(low), float(high)), len(resampled) - len(defined))
