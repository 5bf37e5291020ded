"""Exact permutation tests against brute force and against SciPy."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kendalltau

from maskgit_lab.ablation.permutations import jonckheere, jonckheere_p, tau_p

GROUPS = (0, 0, 0, 0, 1, 2, 2)  # four concave schedules, one linear, two convex


def test_p_of_tau_is_scipys_exact_one_without_ties():
    generator = np.random.default_rng(0)
    for n in (3, 5, 7):
        first, second = generator.permutation(n) * 1.0, generator.permutation(n) * 1.0
        assert tau_p(first, second) == pytest.approx(kendalltau(first, second, method="exact").pvalue)


def test_p_of_tau_with_ties_is_the_share_of_all_orders():
    """Where SciPy has an approximation only."""
    best, papers = np.array([32.0, 32, 32, 16, 8]), np.array([8.0, 9, 10, 10, 60])
    observed = abs(kendalltau(best, papers).statistic)
    taus = [abs(kendalltau(order, papers).statistic) for order in permutations(best)]
    assert tau_p(best, papers) == pytest.approx(np.mean(np.array(taus) >= observed - 1e-9))
    with pytest.raises(ValueError, match="Ties found"):
        kendalltau(best, papers, method="exact")
    assert tau_p(np.full(5, 32.0), papers) is None


def test_j_by_hand():
    values = np.array([[1.0, 2, 3, 4, 5, 6, 7], [7.0, 6, 5, 4, 3, 2, 1], [1.0, 2, 3, 6, 5, 6, 7]])
    assert jonckheere(values, GROUPS).tolist() == [14, 0, 12.5]  # one concave behind linear, and tied with a convex


@pytest.mark.parametrize("values", [(1, 2, 3, 4, 5, 6, 7), (1, 2, 3, 5, 4, 6, 7), (3, 1, 7, 2, 2, 6, 4)], ids=str)
def test_p_of_j_is_the_share_of_all_orders(values):
    """Of all 5,040 orders of the values, of which each assignment of the shapes is 48."""
    measured = np.array(values, dtype=float)
    every = jonckheere(np.array(list(permutations(measured))), GROUPS)
    p, n = jonckheere_p(measured, GROUPS)
    assert n == 105 and p == pytest.approx(np.mean(every >= jonckheere(measured[None], GROUPS)[0]))


def test_no_p_of_j_is_below_one_of_the_assignments():
    assert jonckheere_p(np.arange(7.0), GROUPS) == (1 / 105, 105)
    assert jonckheere_p(np.array([1.0, 2, 3]), (0, 1, 2)) == (1 / 6, 6)
