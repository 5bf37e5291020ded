"""Studies: what may be compared shares one, and nothing else does."""

import json
import math
from pathlib import Path

import pytest

from maskgit_lab.ablation.conditions import Conditions
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import Run, Seeds, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.titles import differences
from synthetic_runs import SCHEDULES, add_rows, make_everything, make_run, row


def run(rows, training="t", name="run") -> Run:
    return Run(Path(name), rows, training, settings={"depth": training})


def test_schedules_steps_and_seeds_share_a_study():
    rows = [row(s, seed, t) for s in ("cosine", "linear") for seed in (0, 1) for t in (4, 8)]
    (study,) = studies([run(rows[:4]), run(rows[4:], name="other")])
    assert len(study.points) == len(study.main) == 8 and study.seeds == [Seeds(0), Seeds(1)] and len(study.runs) == 2
    assert study.title == "digits, classifier features, 1,437 samples, reference digits-train"
    assert (study.distance.key, study.distance.label) == ("fd_classifier", "FD")


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


def test_models_that_were_trained_otherwise_are_kept_apart_and_the_difference_is_known():
    found = studies([run([row("cosine", 0, t) for t in (4, 8)], "deep"), run([row("linear", 0, 4)], "flat")])
    assert [len(study.points) for study in found] == [2, 1]
    assert differences(found) == [{"depth": "deep"}, {"depth": "flat"}]
    assert differences(found[:1]) == [{}]


def test_only_inceptions_distance_is_called_fid():
    (study,) = studies([run([row("cosine", 0, 4, features="inception", fid=7.0, n_samples=50000)])])
    assert (study.distance.key, study.distance.label) == ("fid", "FID")


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
    [
        {"seed": None},
        {"schedule": 5},
        {"choice_temperature": math.nan},
        {"steps": 0},
        {"model": []},
        {"decoder": 3},
        {"repeat": -1},
        {"repeat": "x"},
    ],
    ids=str,
)
def test_a_row_that_does_not_identify_its_point_is_left_out(nonsense):
    own = run([row("cosine", 0, 4), {**row("cosine", 0, 8), **nonsense}])
    (study,) = studies([own])
    assert len(study.points) == 1 and [each["steps"] for each in own.unusable] == [nonsense.get("steps", 8)]


def test_external_images_have_no_study():
    external = {"samples": "a.npz", "n_samples": 24, "features": "inception", "fid": 3.0}
    own = run([external])
    assert studies([own]) == [] and own.external == [external] and own.unusable == []


def test_sections(tmp_path):
    (study,) = studies(find_runs(make_everything(tmp_path)))
    assert dict(study.main_setting) == {"choice_temperature": 4.5, "guidance": 0.0} and len(study.main) == 7 * 2 * 4
    assert study.axes == ["choice_temperature", "guidance"] and study.words == []
    temperatures = study.along("choice_temperature")
    assert set(temperatures) == {"cosine"} and set(study.along("guidance")) == {"linear"}
    assert {p.row["choice_temperature"] for p in temperatures["cosine"]} == {1.0, 2.0, 4.5, 9.0}
    pairs = {(p.schedule, p.decode_schedule) for p in study.decoupled}
    assert len(pairs) == len(SCHEDULES) ** 2


def test_knobs_are_whatever_the_rows_have():
    rows = [row("cosine", 0, t, top_k=k, noise=n) for t in (4, 8) for k in (1, 2) for n in ("gumbel", None)]
    (study,) = studies([run([row("cosine", 1, t, top_k=2, noise="gumbel") for t in (4, 8)] + rows)])
    assert dict(study.main_setting)["top_k"] == 2.0 and dict(study.main_setting)["noise"] == "gumbel"
    assert (study.axes, study.words) == (["top_k"], ["noise"])
    assert {(p.row["top_k"], p.row["noise"]) for p in study.along("top_k")["cosine"]} == {(1, "gumbel"), (2, "gumbel")}
    assert {(p.row["top_k"], p.row["noise"]) for p in study.along("noise")["cosine"]} == {(2, "gumbel"), (2, None)}


def test_decoders_share_a_study_but_no_curve():
    """Each decoder has knobs of its own, so it is compared at its own most common setting."""
    older = [row("cosine", 0, t) for t in (4, 8, 16)]
    plain = {key: value for key, value in row("cosine", 0, 4).items() if key not in ("choice_temperature", "guidance")}
    halton = [{**plain, "decoder": "halton", "steps": t, "scramble": 1} for t in (4, 8)]
    (study,) = studies([run([*older, *halton])])
    assert [p.knob("decoder") for p in study.main] == [None] * 3 and study.hidden == 0
    assert {knob for knob in study.words if study.along(knob)} == {"decoder"}
    assert [p.knob("decoder") for p in study.along("decoder")["cosine"]] == [None] * 3 + ["halton"] * 2
    named = [each | {"decoder": "maskgit"} for each in older]
    (study,) = studies([run([*named, *halton])])
    assert {p.knob("decoder") for p in study.main} == {"maskgit"}


def test_a_knob_that_older_rows_lack_is_compared_with_its_absence():
    older, newer = ([row("cosine", 0, t, **knobs) for t in (4, 8)] for knobs in ({}, {"top_k": 5}))
    (study,) = studies([run([*older, *newer])])
    assert (study.axes, study.words) == ([], ["top_k"]) and len(study.main) == 2 and study.hidden == 0
    assert [p.knob("top_k") for p in study.along("top_k")["cosine"]] == [None, None, 5.0, 5.0]
    (study,) = studies([run([*older, *newer, *(row("cosine", 0, t, top_k=9) for t in (4, 8, 16))])])
    assert study.axes == ["top_k"] and {p.knob("top_k") for p in study.along("top_k")["cosine"]} == {5.0, 9.0}
    assert study.hidden == 2


def test_where_no_decoding_follows_the_training_there_is_no_curve():
    (study,) = studies([run([row("cosine", 0, t, decode_schedule="linear") for t in (4, 8)])])
    assert study.main == [] and len(study.decoupled) == 2 and study.along("choice_temperature") == {}


def test_two_runs_of_the_same_point_count_once(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name, [row("cosine", 0, 4)], grids=False)
    (study,) = studies(find_runs(tmp_path))
    assert len(study.points) == 1 and len(study.runs) == 2


def test_runs_with_tokenizers_of_other_seeds_share_a_study(tmp_path):
    for tokenizer in (0, 1):
        rows = [row("cosine", 3, t, model=f"m{tokenizer}") for t in (4, 8)]
        folder = make_run(tmp_path / str(tokenizer), rows, grids=False)
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("weights: null, seed: 0", f"weights: null, seed: {tokenizer}"))
        add_rows(folder, [row("cosine", 9, 4, model=f"m{tokenizer}")])  # another draw of its samples
    runs = find_runs(tmp_path)
    (study,) = studies(runs)
    assert study.seeds == [Seeds(3, 0), Seeds(3, 1)] and len(study.points) == 6 and not study.apart
    one = Conditions.read("tokenizer.seed=1").chosen(runs, Origins.of(runs))
    assert [len(run.rows) for run in one] == [3] and "tokenizer.seed" not in study.training


@pytest.mark.parametrize(
    "config",
    [{}, {"seed": "x"}, {"seed": True}, {"seed": -1}, {"seed": 0, "tokenizer": {"seed": None}}, {"seed": 2.0}],
    ids=str,
)
def test_a_config_without_readable_seeds_has_none(config):
    assert Seeds.of_config(config) is None
    assert Seeds.of_config({"seed": 4, "tokenizer": None}) == Seeds(4)
