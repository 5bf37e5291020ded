"""Our order against the paper's: tau against SciPy's, made-up orders, and the interval over seeds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from maskgit_lab.ablation.curves import Curve
from maskgit_lab.ablation.permutations import kendall_tau
from maskgit_lab.ablation.points import Draw
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import rank
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.metrics.registry import TABLE

FD = TABLE["fid"].on("classifier")
NAMES = tuple(table3())
FIDS = np.array([row.fid for row in table3().values()])


def curve_of(name: str, steps: tuple[float, ...], values_RX) -> Curve:
    """A curve of a draw of samples for each training seed."""
    return Curve(name, FD, steps, tuple(map(Seeds, range(len(values_RX)))), (Draw(0),), np.asarray(values_RX)[:, None])


def curves_of(distances_SR, steps=(4, 8)) -> list[Curve]:
    """Curves whose best T is the last, with these distances there for each repeat."""
    made = []
    for name, distances in zip(NAMES, np.atleast_2d(distances_SR), strict=False):
        made.append(curve_of(name, steps, np.stack([distances + 5.0, distances], axis=1)))
    return made


@pytest.mark.parametrize("n_values", [100, 4, 2], ids=["no ties", "some ties", "many ties"])
def test_tau_is_scipys(n_values):
    generator = np.random.default_rng(n_values)
    first, second = generator.integers(n_values, size=(200, 7)).astype(float), generator.integers(4, size=7) * 1.0
    expected = [kendalltau(row, second).statistic for row in first]
    np.testing.assert_allclose(kendall_tau(first, second), expected, atol=1e-12)


def test_tau_by_hand():
    paper = np.array([1.0, 2.0, 3.0])
    orders = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])
    np.testing.assert_allclose(kendall_tau(orders, paper), [1, -1, 1 / 3, np.nan])


def test_the_papers_order_has_tau_one_and_its_reverse_minus_one():
    same = rank(curves_of(FIDS[:, None]), bootstrap=10, seed=0)
    reverse = rank(curves_of(-FIDS[:, None]), bootstrap=10, seed=0)
    assert same is not None and reverse is not None
    assert same.order.tau == 1 and reverse.order.tau == -1
    assert same.our_order == same.papers_order == list(reversed(reverse.our_order))
    assert same.our_order[0] == "cosine" and same.our_order[-1] == "logarithmic"


def test_one_seed_has_no_interval_and_fewer_than_three_schedules_no_tau():
    one = rank(curves_of(FIDS[:, None]), bootstrap=10, seed=0)
    assert one is not None and one.order.interval is None and one.shift.interval is None
    assert rank(curves_of(FIDS[:2, None]), bootstrap=10, seed=0) is None
    strangers = [replace(c, schedule="arccos") for c in curves_of(FIDS[:, None])]
    assert rank(strangers, bootstrap=10, seed=0) is None


def test_the_interval_holds_tau_and_is_wider_the_more_seeds_differ():
    noise = np.random.default_rng(0).normal(size=(7, 3))
    widths = []
    for size in (0.01, 0.5, 20.0):
        found = rank(curves_of(FIDS[:, None] + size * noise), bootstrap=500, seed=0)
        assert found is not None and found.order.tau is not None and found.order.interval is not None
        low, high = found.order.interval
        assert -1 <= low <= found.order.tau <= high <= 1
        widths.append(high - low)
    assert widths[0] == 0 and widths == sorted(widths) and widths[2] > 0.2


def test_the_interval_is_the_same_for_the_same_seed():
    noisy = FIDS[:, None] + np.random.default_rng(0).normal(size=(7, 3)) * 5
    first, again, other = (rank(curves_of(noisy), bootstrap=100, seed=seed) for seed in (1, 1, 2))
    assert first == again and first is not None and other is not None and first.order.tau == other.order.tau


def test_the_bootstrap_is_over_seeds_within_each_schedule():
    """With two seeds of a third schedule, one on either side of its neighbour, tau takes the values of both orders."""
    distances = np.array([[7.0, 7.0], [6.0, 6.0], [4.0, 9.0]])  # of exponential, cubic and square
    found = rank(curves_of(distances), bootstrap=4000, seed=0)
    assert found is not None and found.order.interval == (pytest.approx(-1 / 3), 1.0)


def test_the_best_t_moves_as_in_the_paper_or_not_at_all():
    def with_best(steps_of) -> list[Curve]:
        grid = (4, 8, 10, 16, 32, 64)
        return [
            curve_of(name, grid, np.abs(np.log2(np.array([grid] * 2)) - np.log2(steps_of(row.best_steps))) + 1)
            for name, row in table3().items()
        ]

    moving = rank(with_best(lambda t: t), bootstrap=50, seed=0)
    still = rank(with_best(lambda t: 8), bootstrap=50, seed=0)
    back = rank(with_best(lambda t: 512 / t), bootstrap=50, seed=0)
    assert moving is not None and moving.shift.tau is not None and moving.shift.tau > 0.9
    assert moving.shift.interval == (moving.shift.tau, moving.shift.tau)
    assert still is not None and still.shift.tau is None and still.shift.interval is None
    assert back is not None and back.shift.tau is not None and back.shift.tau < -0.8


def test_points_that_a_seed_lacks_do_not_spoil_the_others():
    values = np.array([[9.0, np.nan], [7.0, 5.0], [8.0, 6.0]])
    curves = [curve_of(name, (4, 8), values + i) for i, name in enumerate(NAMES)]
    found = rank(curves, bootstrap=200, seed=0)
    assert found is not None and found.ours[0] == 5.5
