"""Autoregressive models: how their rows are read, which are one baseline, and which studies they belong to."""

from pathlib import Path

import pytest

from maskgit_lab.ablation.baselines import baselines, level_of, trained_alike, with_baselines
from maskgit_lab.ablation.conditions import Conditions
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import Run, Seeds, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.metrics.registry import BOUND, TABLE
from synthetic_runs import add_rows, make_baseline, make_run, row, sequential_row

FD = TABLE["fid"].on("classifier")
TOKENS = {"data.name": "digits", "tokenizer.net.depth": 2}


def run(rows, training="t", name="run", **settings) -> Run:
    return Run(Path(name), list(rows), training, settings=TOKENS | {"kind": training} | settings)


def matched(theirs, **settings) -> list[str]:
    """The names of the baselines of a study with one point."""
    runs = [run([row("cosine", 0, 8)]), run([theirs], "sequential", "other", **settings)]
    (study,) = with_baselines(studies(runs), baselines(runs))
    return [one.name for one in study.baselines]


def test_their_rows_are_neither_points_nor_external_images(tmp_path):
    rows = [sequential_row(seed) for seed in (0, 1)]
    (found,) = find_runs(make_baseline(tmp_path / "run", rows))
    assert found.sequential == found.generated == rows and found.sizes["tokens"] == 64
    assert found.points == found.external == found.unusable == [] and found.faults == ()
    assert studies([found]) == []


@pytest.mark.parametrize("broken", [{"order": 3}, {"order": None}, {"seed": "x"}, {"repeat": -1}, {"model": []}])
def test_broken_rows_are_counted_and_left_out(broken):
    found = run([sequential_row(0), {**sequential_row(1), **broken}])
    assert len(found.sequential) == len(found.unusable) == 1 and found.external == []
    assert [len(one.points) for one in baselines([found])] == [1]


def test_the_training_of_either_model_leaves_out_the_groups_of_the_other(tmp_path):
    older = make_run(tmp_path / "a", [row("cosine", 0, 8)])
    newer = make_run(tmp_path / "b", [row("linear", 0, 8)])
    with (newer / "config.yaml").open("a") as file:
        file.write("model: maskgit\nautoregressive: {net: {depth: 4}}\n")
    make_baseline(tmp_path / "c", [sequential_row(0)])
    found = find_runs(tmp_path)
    assert older.name == "a" and found[0].training == found[1].training != found[2].training
    settings = found[2].settings
    assert settings["model"] == "autoregressive" and settings["autoregressive.net.depth"] == 4
    assert not any(key.startswith(("mvtm", "schedule")) for key in settings)


def test_a_run_that_has_not_ended_says_so(tmp_path):
    path = make_baseline(tmp_path / "run", [sequential_row(0)])
    record = path / "run.json"
    record.write_text('{"mvtm": null, "autoregressive": {"autoregressive/val_nll": 3.0}}')
    assert find_runs(tmp_path)[0].faults == ("unfinished: its evaluation is not marked as done",)
    record.write_text('{"mvtm": null, "autoregressive": null, "sizes": null}')
    assert find_runs(tmp_path)[0].faults == ("unfinished: its training has not ended",)


def test_seeds_share_a_baseline_and_every_way_of_decoding_is_one_with_a_name():
    rows = [sequential_row(seed) for seed in (0, 1, 2)]
    others = [{"temperature": 0.9}, {"top_k": 100}, {"order": "spiral"}, {"kv_cache": False}, {"top_p": 0.9}]
    found = baselines([run([*rows, *(sequential_row(0, **other) for other in others)])])
    assert [one.name for one in found] == [
        "autoregressive",
        "autoregressive, without a KV cache",  # of the same samples
        "autoregressive, order spiral",
        "autoregressive, temperature 0.9",
        "autoregressive, top-k 100",
        "autoregressive, top-p 0.9",
    ]
    assert found[0].seeds == [Seeds(0), Seeds(1), Seeds(2)] and all(len(one.points) == 1 for one in found[1:])


def test_models_that_were_trained_otherwise_are_named_by_that():
    rows = [sequential_row(0, model=str(depth)) for depth in (4, 8)]
    runs = [Run(Path(row["model"]), [row], row["model"], settings={"depth": row["model"]}) for row in rows]
    assert [one.name for one in baselines(runs)] == ["autoregressive, depth=4", "autoregressive, depth=8"]
    more = Run(Path("more"), [sequential_row(0, model="8", top_p=0.9)], "8", settings={"depth": "8"})
    assert baselines([*runs, more])[-1].name == "autoregressive, top-p 0.9, depth=8"


def test_a_level_is_the_mean_over_models_of_the_means_over_their_draws():
    values = {(0, 0): 10.0, (0, 1): 12.0, (1, 0): 13.0}  # of a seed and a repeat: the models have 11 and 13
    repeats = [{"repeat": draw} if draw else {} for _, draw in values]
    rows = [sequential_row(s, fd_classifier=v, **r) for ((s, _), v), r in zip(values.items(), repeats, strict=True)]
    (one,) = baselines([run(rows)])
    found = level_of(one, FD)
    assert found is not None and (found.mean_X[0], found.low_X[0], found.high_X[0]) == (12.0, 11.0, 13.0)
    assert level_of(one, TABLE["memorised"]) is None


def test_the_exact_likelihood_is_the_level_of_the_bound():
    (one,) = baselines([run([sequential_row(0)])])
    found = level_of(one, TABLE[BOUND])
    assert found is not None and found.mean_X.tolist() == [3.0] and found.metric.key == BOUND


def test_metrics_that_were_measured_one_after_the_other_are_one_point():
    first = {key: value for key, value in sequential_row(0).items() if not key.startswith("cas")}
    later = {key: value for key, value in sequential_row(0).items() if not key.startswith(("fd", "nll"))}
    (one,) = baselines([run([first]), run([later], "", "elsewhere")])
    (point,) = one.points
    assert point.value("fd_classifier") and point.value("cas_top1") and len(point.sources) == 2


def test_what_was_measured_alike_on_the_same_tokens_is_comparable():
    assert matched(sequential_row(0)) == matched(sequential_row(0), mvtm=3) == ["autoregressive"]
    without = {key: value for key, value in sequential_row(0).items() if not key.startswith("cas")}
    assert matched(without) == ["autoregressive"]


@pytest.mark.parametrize(
    "other",
    [
        *({"n_samples": 50000}, {"reference": "digits-test"}, {"reference_fingerprint": "x"}, {"splits": 10}),
        *({"features": "vgg16"}, {"features_weights": "x"}, {"data": "cifar10"}, {"labels": "x"}),
        *({"cas_classifier": "x"}, {"debug": "tiny"}, {"code": "x"}),
    ],
    ids=str,
)
def test_what_was_measured_otherwise_is_not(other):
    assert matched(sequential_row(0, **other)) == []


def test_a_study_is_compared_with_baselines_that_were_trained_as_it_was():
    def alike(**theirs) -> bool:
        ours = {"mvtm.net._target_": "A", "mvtm.label_smoothing": 0.1, "mvtm.masks": 2}
        others = {"autoregressive.net._target_": "B", "autoregressive.order.seed": 0, **theirs}
        runs = [run([row("cosine", 0, 8)], **ours), run([sequential_row(0)], "s", "other", **others)]
        return trained_alike(studies(runs)[0], baselines(runs)[0])

    assert alike() and alike(**{"autoregressive.label_smoothing": 0.1})
    assert not alike(**{"autoregressive.label_smoothing": 0.0})


def test_models_of_other_tokens_are_not():
    assert matched(sequential_row(0), **{"tokenizer.net.depth": 3}) == []
    assert matched(sequential_row(0), **{"max_images": 10}) == ["autoregressive"]  # of the other run it is not known


def test_models_that_were_measured_by_other_code_are_not():
    def found(theirs: str) -> list[str]:
        files = {"a": {"scores.py": "1", "parallel.py": "1"}, "b": {"scores.py": theirs, "causal.py": "1"}}
        runs = [
            Run(Path("a"), [row("cosine", 0, 8, code="a")], "t", code={"a": files["a"]}),
            Run(Path("b"), [sequential_row(0, code="b")], "s", code={"b": files["b"]}),
        ]
        return [one.name for one in with_baselines(studies(runs), baselines(runs))[0].baselines]

    assert found("1") == ["autoregressive"] and found("2") == []
    runs = [run([row("cosine", 0, 8, code="a")]), run([sequential_row(0, code="b")], "s", "other")]
    assert with_baselines(studies(runs), baselines(runs))[0].baselines  # whose files are not known


def test_a_condition_keeps_the_rows_of_both_kinds_that_meet_it(tmp_path):
    make_run(tmp_path / "a", [row("cosine", 0, t) for t in (4, 8)], grids=False)
    make_baseline(tmp_path / "b", [sequential_row(0), sequential_row(0, order="column", model="column")])
    runs = find_runs(tmp_path)

    def n_kept(where: str) -> list[int]:
        return [len(each.rows) for each in Conditions.read(where).chosen(runs, Origins.of(runs))]

    assert n_kept("data=digits") == [2, 2] and n_kept("order=raster") == [1] and n_kept("steps=8") == [1]
    assert n_kept("decoder=autoregressive") == n_kept("autoregressive.net.depth=4") == [2]


def test_an_evaluation_elsewhere_belongs_to_the_run_that_trained_its_model(tmp_path):
    make_baseline(tmp_path / "run", [sequential_row(0)])
    add_rows(tmp_path / "elsewhere", [sequential_row(0, temperature=0.5)])
    first, second = baselines(find_runs(tmp_path))
    assert second.training == first.training and second.points[0].sizes["transformer"] == 800_000
