"""The choice temperature of each schedule: the rule, the samples that it is chosen on, and the second reading."""

from dataclasses import replace
from pathlib import Path

import pytest

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.points import Point
from maskgit_lab.ablation.reading import Run, Seeds, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.temperature import best_spot, own_temperatures, spots
from maskgit_lab.metrics.registry import TABLE
from synthetic_runs import add_rows, make_run, row

FD = TABLE["fid"].on("classifier")


def points(values, schedule="cosine"):
    """From {(temperature, T, seed): distance}."""
    rows = [row(schedule, seed, steps, choice_temperature=c, fd_classifier=v) for (c, steps, seed), v in values.items()]
    return [Point(each, "t", Seeds(each["seed"]), ()) for each in rows]


def rows_at(schedule, values, seed=0, **other):
    """From {temperature: distance at T = 2, 4, 8}."""
    return [
        row(schedule, seed, steps, choice_temperature=c, fd_classifier=distance, **other)
        for c, several in values.items()
        for steps, distance in zip((2, 4, 8), several, strict=True)
    ]


def test_the_best_is_the_minimum_over_t_of_the_mean_over_repeats():
    lucky = {(1.0, 2, 0): 1.0, (1.0, 2, 1): 9.0, (1.0, 4, 0): 6.0, (1.0, 4, 1): 6.0}  # 5 and 6
    even = {(2.0, 2, 0): 7.0, (2.0, 2, 1): 7.0, (2.0, 4, 0): 4.0, (2.0, 4, 1): 5.0}  # 7 and 4.5
    found = spots(points(even | lucky), FD)
    assert [(s.value, s.steps, s.distance) for s in found] == [(1.0, 2, 5.0), (2.0, 4, 4.5)]
    assert best_spot(found) == found[1]
    equal = spots(points({(c, t, 0): 3.0 for c in (9.0, 0.5) for t in (2, 4)}), FD)
    assert (best_spot(equal).value, best_spot(equal).steps) == (0.5, 2)


def test_the_edge_of_the_measured_t_is_said():
    values = {(1.0, 2, 0): 5.0, (1.0, 4, 0): 3.0, (1.0, 8, 0): 4.0, (2.0, 2, 0): 5.0, (2.0, 4, 0): 4.0, (2.0, 8, 0): 2}
    assert [spot.is_at_edge for spot in spots(points(values), FD)] == [False, True]


SHARED = {"cosine": (5.0, 3.0, 4.0), "linear": (9.0, 8.0, 7.0), "square": (6.0, 6.0, 6.0)}


@pytest.fixture
def runs(tmp_path):
    """Three schedules at 4.5; two of them at 1 too, where linear alone is better."""
    for name, values in SHARED.items():
        make_run(tmp_path / name, rows_at(name, {4.5: values}), grids=False)
    add_rows(tmp_path / "cosine", rows_at("cosine", {1.0: (4.0, 4.0, 4.0)}))
    add_rows(tmp_path / "linear", rows_at("linear", {1.0: (2.0, 3.0, 4.0)}))
    return tmp_path


def test_without_other_samples_it_is_chosen_on_the_reported_ones_and_says_so(runs):
    (study,) = studies(find_runs(runs))
    own = own_temperatures(study)
    assert own.temperatures == {"cosine": 4.5, "linear": 1.0} and not own.seeds and own.absent == ["square"]
    best = {one.schedule: (one.best_steps, one.best_value) for one in curves(own.study.main, FD)}
    assert best == {"cosine": (4, 3.0), "linear": (2, 2.0)}
    assert {one.schedule for one in curves(study.main, FD)} == set(SHARED)  # the first reading stays as it was


def test_samples_drawn_to_choose_decide_and_are_in_no_curve(runs):
    reported = studies(find_runs(runs))[0]
    other = {"n_samples": 64, "labels": "few", "purpose": "choice"}
    for name, better in (("cosine", 1.0), ("linear", 4.5)):  # the contrary of what the reported samples say
        drawn = rows_at(name, {better: (1.0, 1.0, 1.0), 5.5 - better: (2.0, 2.0, 2.0)}, **other)
        add_rows(runs / name / "temperature", drawn)
    add_rows(runs / "square" / "temperature", rows_at("square", {2.0: (1, 1, 1), 3.0: (2, 2, 2)}, **other))
    found = find_runs(runs)
    (study,) = studies(found)
    assert len(found) == 3 and len(study.points) == len(reported.points) and len(study.choices) == 18
    own = own_temperatures(study)
    assert own.temperatures == {"cosine": 1.0, "linear": 4.5}
    assert own.seeds == dict.fromkeys(("cosine", "linear"), (Seeds(0),))
    assert own.unmeasured == {"square": 2.0} and not own.absent
    assert {one.schedule: one.best_value for one in curves(own.study.main, FD)} == {"cosine": 4.0, "linear": 7.0}


def test_rows_of_a_choice_are_no_points_wherever_they_are(runs):
    drawn = rows_at("cosine", {1.0: (1, 1, 1)}, purpose="choice", n_samples=64)
    assert not Run(Path("run"), drawn, "t").points


def test_one_schedule_alone_has_no_second_reading(runs):
    (study,) = studies(find_runs(runs))
    assert own_temperatures(replace(study, points=[p for p in study.points if p.schedule != "linear"])) is None
