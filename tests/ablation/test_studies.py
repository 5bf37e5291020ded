"""Studies: what may be compared shares one, and nothing else does."""

import json
import math
from pathlib import Path

import pytest

from maskgit_lab.ablation.rows import loose_rows, unusable_rows
from maskgit_lab.ablation.runs import Run, find_runs
from maskgit_lab.ablation.sentences import faults_of
from maskgit_lab.ablation.studies import differences, studies
from synthetic_runs import SCHEDULES, make_everything, make_run, row


def run(rows, training="t", name="run") -> Run:
    return Run(Path(name), rows, training, settings={"depth": training})


def test_schedules_steps_and_seeds_share_a_study():
    rows = [row(s, seed, t) for s in ("cosine", "linear") for seed in (0, 1) for t in (4, 8)]
    (study,) = studies([run(rows[:4]), run(rows[4:], name="other")])
    assert len(study.points) == len(study.main) == 8 and study.seeds == [0, 1] and len(study.runs) == 2
    assert study.title == "digits, classifier features, 1,437 samples, reference digits-train"
    assert (study.distance, study.distance_label, study.is_biased) == ("fd_classifier", "FD", True)


@pytest.mark.parametrize(
    "other",
    [
        {"data": "cifar10"},
        {"features": "inception"},
        {"features_weights": "x"},
        {"n_samples": 50000},
        {"reference": "digits-test"},
        {"splits": 10},
        {"labels": "x"},
        {"precision_features": "vgg16"},
        {"cas_classifier": "x"},
    ],
    ids=str,
)
def test_what_was_measured_otherwise_is_kept_apart(other):
    rows = [row("cosine", 0, 4), row("linear", 0, 4, **other)]
    found = studies([run(rows)])
    assert [len(study.points) for study in found] == [1, 1]


def test_models_that_were_trained_otherwise_are_kept_apart_and_the_difference_is_told():
    found = studies([run([row("cosine", 0, t) for t in (4, 8)], "deep"), run([row("linear", 0, 4)], "flat")])
    assert [len(study.points) for study in found] == [2, 1]
    assert differences(found) == [{"depth": "deep"}, {"depth": "flat"}]
    assert differences(found[:1]) == [{}]


def test_only_inceptions_distance_is_called_fid():
    (study,) = studies([run([row("cosine", 0, 4, features="inception", fid=7.0, n_samples=50000)])])
    assert (study.distance, study.distance_label, study.is_biased) == ("fid", "FID", False)


def test_a_row_without_cas_joins_the_only_study_that_agrees():
    plain = row("linear", 0, 8)
    del plain["cas_classifier"]
    (study,) = studies([run([row("cosine", 0, 4), plain])])
    assert len(study.points) == 2 and study.settings["cas_classifier"] == "9f5731050384"
    found = studies([run([row("cosine", 0, 4), row("cosine", 0, 8, cas_classifier="x"), plain])])
    assert len(found) == 3


def test_metrics_that_were_measured_one_after_the_other_are_one_point():
    first = {k: v for k, v in row("cosine", 0, 8, metrics="fid").items() if not k.startswith("cas")}
    later = {k: v for k, v in row("cosine", 0, 8, metrics="cas").items() if not k.startswith(("fd", "inception"))}
    (study,) = studies([run([first, later])])
    (point,) = study.points
    assert point.value("fd_classifier") and point.value("cas_top1") and len(point.sources) == 2


def test_an_evaluation_elsewhere_belongs_to_its_models_training():
    (study,) = studies([run([row("cosine", 0, 4)]), run([row("cosine", 0, 8)], "", "elsewhere")])
    assert len(study.points) == 2 and study.training == {"depth": "t"}


def test_models_of_unknown_training_share_a_study_until_two_claim_the_same_place():
    one, two = [row("cosine", 0, t) for t in (4, 8)], [row("linear", 0, t) for t in (4, 8)]
    assert len(studies([run(one, ""), run(two, "", "b")])) == 1
    clash = [row("cosine", 0, t, model="another") for t in (4, 8)]
    assert len(studies([run(one, ""), run(clash, "", "b")])) == 2


def test_values_that_are_not_finite_are_not_measured():
    (study,) = studies([run([json.loads(json.dumps(row("cosine", 0, 4, fd_classifier=math.nan, nll=math.inf)))])])
    point = study.points[0]
    assert point.value("fd_classifier") is None and point.value("nll") is None and point.value("precision")


@pytest.mark.parametrize(
    "nonsense",
    [{"seed": None}, {"schedule": 5}, {"guidance": "x"}, {"choice_temperature": math.nan}, {"steps": 0}, {"model": []}],
    ids=str,
)
def test_a_row_that_does_not_say_which_point_it_is_is_left_out(nonsense):
    runs = [run([row("cosine", 0, 4), {**row("cosine", 0, 8), **nonsense}])]
    (study,) = studies(runs)
    assert len(study.points) == 1 and [each["steps"] for _, each in unusable_rows(runs)] == [nonsense.get("steps", 8)]
    assert "1 row of the results of run left out" in faults_of(runs, {Path("run"): "run"})[0]


def test_loose_images_have_no_study():
    loose = {"samples": "a.npz", "n_samples": 24, "features": "inception", "fid": 3.0}
    found = [run([loose])]
    assert studies(found) == [] and loose_rows(found) == [(found[0], loose)]


def test_sections(tmp_path):
    (study,) = studies(find_runs(make_everything(tmp_path)))
    assert study.main_setting == (4.5, 0.0) and len(study.main) == 7 * 2 * 4
    assert set(study.surfaces) == {"cosine"} and set(study.guided) == {"linear"}
    assert {p.row["choice_temperature"] for p in study.surfaces["cosine"]} == {1.0, 2.0, 4.5, 9.0}
    pairs = {(p.row["schedule"], p.row["decode_schedule"]) for p in study.decoupled}
    assert len(pairs) == len(SCHEDULES) ** 2


def test_two_runs_of_the_same_point_count_once(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name, [row("cosine", 0, 4)], grids=False)
    (study,) = studies(find_runs(tmp_path))
    assert len(study.points) == 1 and len(study.runs) == 2
