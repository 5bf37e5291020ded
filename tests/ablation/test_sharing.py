"""Schedules are compared on the seeds that they share."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from maskgit_lab.ablation.curves import Curve, curves
from maskgit_lab.ablation.points import Draw
from maskgit_lab.ablation.ranking import rank
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.ablation.rectangles import largest
from maskgit_lab.ablation.sharing import compare, comparison
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import TABLE
from maskgit_lab.report.agreement import seeds_of_tau
from maskgit_lab.report.seeds import shared_seeds
from maskgit_lab.report.tables import compared, sweet_spots
from synthetic_runs import row

FD = TABLE["fid"].on("classifier")
ALL = {4: (0, 1, 2), 8: (0, 1, 2), 16: (0, 1, 2)}


def trainings(seeds) -> tuple[int, ...]:
    """The seeds of the trainings, all with one tokenizer."""
    assert {one.tokenizer for one in seeds} <= {0}
    return tuple(one.training for one in seeds)


def study_of(values: dict[str, dict[int, tuple[int, ...]]], distance=lambda seed, t: 10.0 + seed + t) -> Study:
    """A study from the seeds of each schedule and T."""
    rows = [
        row(name, seed, t, fd_classifier=distance(seed, t), inception_score=distance(seed, t), nll=float(seed))
        for name, of in values.items()
        for t, seeds in of.items()
        for seed in seeds
    ]
    return studies([Run(Path("run"), rows, "t")])[0]


def compared_of(values) -> dict[str, tuple[tuple[int, ...], tuple[float, ...]]]:
    return {one.schedule: (trainings(one.seeds), one.x) for one in comparison(study_of(values)).compared}


@pytest.mark.parametrize(
    ("tables", "kept"),
    [
        ([[{0, 1}, {0, 1}]], {0, 1}),
        ([[{0, 1, 2}, {0}, {0}, {0}]], {0}),  # 4 cells instead of 3
        ([[{0, 1, 2}, {0}, {0}]], {0, 1, 2}),  # of equals, more repeats
        ([[{0, 1}, {1, 2}]], {0, 1}),
        ([[{0, 1}, {1, 2}, {1, 3}]], {1}),
        ([[{0, 1}] * 3, [{1, 2}] * 3], {1}),
        ([[{0, 1, 2}] * 3, [{0, 1}] * 3], {0, 1}),
        ([[{0, 1, 2}] * 3, [{1, 2, 3}] * 3], {1, 2}),
        ([[{0, 1}, {2, 3}], [{0, 2}, {1, 3}]], {0}),  # no two repeats have a T in both
        ([[{0}], [{1}]], set()),
        ([], set()),
    ],
    ids=str,
)
def test_the_largest_rectangle(tables, kept):
    assert largest(tables) == kept


def test_the_largest_rectangle_is_no_smaller_than_any_of_the_candidates():
    generator = np.random.default_rng(0)
    for _ in range(50):
        table = [set(np.flatnonzero(generator.random(4) < 0.6).tolist()) or {0} for _ in range(5)]
        area = {
            s: len(s) * sum(set(s) <= here for here in table) for n in (1, 2, 3, 4) for s in combinations(range(4), n)
        }
        candidates = [area[tuple(sorted(here))] for here in table]
        assert area[tuple(sorted(largest([table])))] >= max(candidates)


def test_a_t_that_was_measured_with_fewer_seeds_is_not_the_best_by_luck():
    values = np.array([[9.0, 7.0, np.nan], [5.0, 3.0, 4.0]])
    curve = Curve("cosine", FD, (4, 8, 16), (Seeds(0), Seeds(1)), (Draw(0),), values[:, None])
    assert curve.mean_X.tolist() == [7, 5, 4] and (curve.best_steps, curve.best_value) == (8, 5.0)
    assert curve.is_at_edge  # the last T that is compared


def test_nothing_is_left_out_of_what_is_whole():
    found = comparison(study_of({"cosine": ALL, "linear": ALL, "square": {4: (0, 1, 2)}}))
    assert not found.is_partial and trainings(found.seeds) == (0, 1, 2)
    assert shared_seeds(study_of({"cosine": ALL, "linear": ALL})) == []


def test_all_schedules_are_cut_to_the_seeds_that_they_share():
    late = {4: (0, 1), 8: (0, 1), 16: (0,)}
    assert compared_of({"cosine": ALL, "linear": late}) == {"cosine": ((0, 1), (4, 8, 16)), "linear": ((0, 1), (4, 8))}
    assert compared_of({"cosine": ALL, "linear": {4: (2, 3)}}) == {"cosine": ((2,), (4, 8, 16)), "linear": ((2,), (4,))}


def test_a_seed_that_has_not_come_so_far_costs_no_schedule_its_best_t():
    """Three seeds at two T are fewer points than two seeds at all of them."""
    late = {4: (0, 1, 2), 8: (0, 1), 16: (0, 1), 32: (0, 1)}
    four = dict.fromkeys(late, (0, 1, 2))
    found = compared_of({"cosine": four, "linear": four, "square": four, "cubic": late})
    assert set(found.values()) == {((0, 1), (4, 8, 16, 32))}


def test_seeds_that_are_in_no_gapless_part_of_some_curve_may_be_all_that_is_shared():
    """The largest part of cosine has seed 1 alone, that of linear seed 0."""
    values = {"cosine": {4: (0, 1), 8: (1,), 16: (1,)}, "linear": {4: (0,), 8: (0,)}}
    assert compared_of(values) == {"cosine": ((0,), (4,)), "linear": ((0,), (4, 8))}


def test_models_of_one_seed_count_once():
    """A training that is not deterministic may leave two; their mean stands for the seed."""
    rows = [row("cosine", 0, 4, model=m, fd_classifier=v) for m, v in (("a", 4.0), ("b", 6.0))] + [row("linear", 0, 4)]
    (study,) = studies([Run(Path("run"), rows, "t")])
    cosine, linear = comparison(study).compared
    assert cosine.values_RX.tolist() == [[5.0]] and len(linear.values_RX) == 1


def test_where_no_seed_is_shared_all_are_used():
    study = study_of({"cosine": {4: (0, 1), 8: (0, 1), 16: (0,)}, "linear": {4: (5,), 8: (5,)}})
    found = comparison(study)
    assert found.seeds == () and [trainings(one.seeds) for one in found.compared] == [(0, 1), (5,)]
    assert shared_seeds(study) == [
        "Not every schedule and T was measured with the same seeds: cosine: seeds 0, 1 at T = 4, 8 and seed 0 at T = "
        "16; linear: seed 5 at T = 4, 8. They share none, so the comparison of best T, table and order is between "
        "different seeds."
    ]


def test_what_is_compared_is_said():
    study = study_of({"cosine": ALL, "square": ALL, "linear": {4: (0, 1), 8: (0, 1), 16: (0,)}})
    assert shared_seeds(study) == [
        "Not every schedule and T was measured with the same seeds: square, cosine: seeds 0, 1, 2 at T = 4, 8, 16; "
        "linear: seeds 0, 1 at T = 4, 8 and seed 0 at T = 16. Best T, table and order compare seeds 0, 1 alone, at "
        "these T: square, cosine: seeds 0, 1 at T = 4, 8, 16; linear: seeds 0, 1 at T = 4, 8; the curves show "
        "everything."
    ]
    study = study_of({"cosine": ALL, "linear": {4: (0, 1), 8: (0, 1), 16: (0, 1)}})
    assert "Best T, table and order compare seeds 0, 1 alone, at T = 4, 8, 16; the curves" in shared_seeds(study)[0]


def test_the_table_has_the_shared_seeds_alone():
    """Seed 9 would make the linear schedule the better one, and 16 its best T."""
    study = study_of(
        {"cosine": {4: (0, 1), 8: (0, 1)}, "linear": {4: (0, 1, 9), 8: (0, 1, 9), 16: (9,)}},
        lambda seed, t: 1.0 / t if seed == 9 else seed + t,
    )
    cosine, linear = (one for one in compared(study) if one["distance"] is not None)
    for key in ("best_steps", "distance", "distance_std", "inception_score", "nll", "nll_std"):
        assert cosine[key] == linear[key]
    assert (linear["best_steps"], linear["distance"], linear["nll"]) == (4, 4.5, 0.5)
    cells = {line[0]: line[1] for line in sweet_spots(study).rows[:2]}
    assert cells == {"cosine": "4† (4.50)", "linear": "4† (4.50)"}


def test_the_order_is_that_of_the_shared_seeds():
    """A seed that only one schedule has is much easier."""

    def distance(seed: int, t: int) -> float:
        return t + (0.0 if seed == 9 else 10.0 + seed)

    few = {4: (0, 1), 8: (0, 1)}
    more = {4: (0, 1, 9), 8: (0, 1, 9)}
    found = []
    for last in (few, more):
        study = study_of({"cosine": few, "square": few, "linear": last}, distance)
        ranking = rank(curves(study.main, study.distance), bootstrap=20, seed=0)
        assert ranking is not None and trainings(ranking.seeds) == (0, 1)
        found.append((ranking.ours, ranking.order, ranking.shift, ranking.levels))
    assert found[0] == found[1] and len(set(found[0][0])) == 1


def test_a_schedule_of_ones_own_takes_no_seed_from_the_papers():
    study = study_of({"cosine": ALL, "linear": ALL, "square": ALL, "mine": {4: (0,), 8: (0,)}})
    ranking = rank(curves(study.main, study.distance), bootstrap=20, seed=0)
    assert ranking is not None and trainings(ranking.seeds) == (0, 1, 2)
    assert trainings(comparison(study).seeds) == (0,)
    assert seeds_of_tau(study, ranking) == ["Tau compares the paper's schedules alone, on seeds 0, 1, 2."]


def test_curves_show_all_points():
    study = study_of({"cosine": ALL, "linear": {4: (0,)}})
    assert [one.counts_X.sum() for one in curves(study.main, study.distance)] == [9, 1]
    assert [one.counts_X.sum() for one in compare(curves(study.main, study.distance)).compared] == [3, 1]
