"""Exact permutation tests of an order of schedules: every way of handing the measured values to the schedules.

The schedules are what is permuted, not the seeds: the paper's claims are about schedules, so more seeds make the values
surer and no p-value smaller than the schedules allow.

Shapes: P permutations, S schedules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Float

SHAPES = ("concave", "linear", "convex")  # as the paper claims them, the best first
ROUNDING = 1e-9  # of a statistic


@dataclass(frozen=True)
class ShapeTest:
    """Jonckheere-Terpstra's test (Jonckheere 1954) of the paper's claim: concave before linear before convex.

    The null hypothesis is that a schedule's distance has nothing to do with its shape, so that every assignment of the
    shapes to the schedules is equally likely. The alternative is one-sided: the claimed order.
    """

    statistic: float  # J: pairs of schedules of different shapes in the claimed order; half for a tie
    n_pairs: int  # of schedules of different shapes, and so the largest J
    p: float  # the share of assignments whose J is at least as large
    n_assignments: int  # that differ; no p can be below one of so many
    counts: tuple[int, ...]  # of schedules of each shape, in the order of `SHAPES`
    interval: tuple[float, float] | None  # the 95 % percentile interval of J by bootstrap; None: without several models
    whole_seeds: int  # seeds at which all pairs are in the claimed order, each schedule at its best T
    n_seeds: int  # of all


def kendall_tau(
    first_BS: Float[np.ndarray, "B S"], second: Float[np.ndarray, " S"] | Float[np.ndarray, "B S"]
) -> Float[np.ndarray, " B"]:
    """Tau-b of each row with one other ranking, or with another one each, in [-1, 1]; NaN where either is all ties.

    For all rows at once, since a call of SciPy for each would take longer than the rest of the report.
    """
    i, j = np.triu_indices(first_BS.shape[1], k=1)
    signs, others = (np.sign(values_BS[:, i] - values_BS[:, j]) for values_BS in (first_BS, np.atleast_2d(second)))
    untied = np.sqrt((signs != 0).sum(axis=1) * (others != 0).sum(axis=1))
    agreeing = (signs * others).sum(axis=1)
    return np.divide(agreeing, untied, out=np.full(len(first_BS), np.nan), where=untied > 0)


def tau_p(first_S: Float[np.ndarray, " S"], second_S: Float[np.ndarray, " S"]) -> float | None:
    """The exact two-sided p-value of tau-b, ties or not: the share of the S! orders with as large an absolute value.

    The null hypothesis is that the two rankings have nothing to do with each other. Of at most the paper's seven
    schedules, so that all of 5,040 orders are counted. None where tau is undefined.
    """
    observed = kendall_tau(first_S[None], second_S)[0]
    if np.isnan(observed):
        return None
    taus_P = kendall_tau(first_S[np.array(list(permutations(range(len(first_S)))))], second_S)
    return float(np.mean(np.abs(taus_P) >= abs(observed) - ROUNDING))


def jonckheere(values_BS: Float[np.ndarray, "B S"], groups_S: Sequence[int]) -> Float[np.ndarray, " B"]:
    """J of each row: pairs of different groups in which the lower group has the lower value; half for a tie."""
    i, j = np.triu_indices(len(groups_S), k=1)
    claimed = np.sign(np.asarray(groups_S)[i] - np.asarray(groups_S)[j])
    agree = np.sign(values_BS[:, i] - values_BS[:, j]) * claimed
    return (agree > 0).sum(axis=1) + 0.5 * ((agree == 0) & (claimed != 0)).sum(axis=1)


def jonckheere_p(values_S: Float[np.ndarray, " S"], groups_S: Sequence[int]) -> tuple[float, int]:
    """The exact one-sided p-value of J, and of how many different assignments it is the share."""
    assignments = sorted(set(permutations(groups_S)))
    observed = jonckheere(values_S[None], groups_S)[0]
    every = np.array([jonckheere(values_S[None], groups)[0] for groups in assignments])
    return float(np.mean(every >= observed - ROUNDING)), len(assignments)
