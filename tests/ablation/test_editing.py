"""Edits: which rows share a study, the rows of its table, the gain over baselines, and the order beside samples."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskgit_lab.ablation.conditions import Conditions
from maskgit_lab.ablation.editing import entries, gains, metrics_of_edits, orders, plain_study
from maskgit_lab.ablation.edits import EditStudy, edit_names, edit_studies, find_edits
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.permutations import kendall_tau
from maskgit_lab.ablation.published import table2
from maskgit_lab.ablation.reading import Run, Seeds, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.errors import UserError
from synthetic_runs import SCHEDULES, add_edits, add_rows, edit_floors, edit_row, make_run, row

RANDOM = {"choice_temperature": 1e6}


def of_memory(*rows) -> list[EditStudy]:
    runs = [Run(path=Path("run"), rows=list(rows), training="t")]
    return edit_studies(runs, Origins.of(runs))


def at(study: EditStudy) -> dict[tuple[str, str], object]:
    return {(entry.kind, entry.name): entry for entry in entries(study)}


def test_table_2_is_as_printed():
    assert [(row.task, row.hole) for row in table2() if row.is_own] == [
        ("outpaint", "right50"),
        ("inpaint", "center50"),
    ]
    assert [row.fid for row in table2() if row.is_own] == [6.78, 7.92] and len(table2()) == 10
    assert min(table2(), key=lambda row: row.fid).model == "MaskGIT"


@pytest.mark.parametrize(
    "other", [{"task": "outpaint"}, {"hole": "right50"}, {"grow": 1}, {"blend": "poisson"}, {"n_samples": 5}]
)
def test_what_was_edited_otherwise_is_another_study_with_another_title(other):
    first, second = of_memory(edit_row("cosine", 0, 8), edit_row("cosine", 0, 8, **other))
    assert first.title != second.title


def test_the_papers_task_and_hole_come_first_and_the_title_says_what_was_edited():
    holes = [("class_edit", "[4,0,12,16]"), ("inpaint", "center50"), ("outpaint", "right50"), ("inpaint", "left50")]
    found = of_memory(*(edit_row("cosine", 0, 8, task=task, hole=hole) for task, hole in holes))
    assert [study.hole for study in found] == ["right50", "center50", "[4,0,12,16]", "left50"]
    assert found[1].title == "inpaint center50, digits, classifier features, 1,437 edits, reference digits-train"
    assert [study.in_the_paper for study in found] == [True, True, False, False]


def test_random_order_stands_beside_the_curves_and_one_step_is_a_row_of_the_best_schedule():
    rows = [edit_row(name, s, t) for name in ("cosine", "linear") for s in (0, 1, 2) for t in (1, 4, 8)]
    (study,) = of_memory(
        *rows, *(edit_row("cosine", s, t, **RANDOM) for s in (0, 1, 2) for t in (4, 8)), *edit_floors()
    )
    assert len(study.main) == 18 and len(study.in_random_order) == 6 and study.hidden == 0
    found = at(study)
    assert list(found) == [
        *(("schedule", name) for name in ("cosine", "linear")),
        *(("random order", "cosine"), ("one step", "cosine")),
        *(("pasted", "pasted reconstructions"), ("held_out", "held-out images")),
    ]
    best = found["schedule", "cosine"]
    assert (best.steps, best.is_at_edge, best.seeds) == (8, True, (Seeds(0), Seeds(1), Seeds(2)))
    assert best.values["fd_classifier"] == [edit_row("cosine", s, 8)["fd_classifier"] for s in (0, 1, 2)]
    assert found["one step", "cosine"].steps == 1 and found["pasted", "pasted reconstructions"].values["psnr"] == [20.0]
    assert "psnr" not in found["held_out", "held-out images"].values
    keys = [metric.key for metric in metrics_of_edits(study)]
    assert keys[0] == "fd_classifier" and "kd_classifier" in keys and "lpips" not in keys


def test_what_is_pasted_belongs_to_its_own_hole():
    rows = [edit_row("cosine", 0, 8), edit_row("cosine", 0, 8, hole="left50"), *edit_floors(hole="left50")]
    inpainted, left = of_memory(*rows)
    assert [("pasted", "pasted reconstructions") in at(study) for study in (inpainted, left)] == [False, True]


def test_decoding_schedules_of_one_model_are_compared_with_each_other_and_with_such_samples():
    rows = [edit_row("cosine", 0, t, decode_schedule=name) for name in SCHEDULES for t in (1, 8)]
    (study,) = of_memory(*rows)
    assert study.trained == "cosine" and "cosine models decoded with other schedules" in study.title
    assert {point.schedule for point in study.main} == {*SCHEDULES} and study.hidden == 0
    assert [entry.name for entry in entries(study) if entry.kind == "one step"] == ["cosine"]

    def beside(samples):
        (plain,) = studies([Run(path=Path("run"), rows=samples, training="t")])
        return orders(study, plain, bootstrap=10, seed=0)

    assert beside([row(name, 0, 8) for name in SCHEDULES]) is None  # of which one is of such a model
    found = beside([row("cosine", 0, 8, decode_schedule=name) for name in SCHEDULES])
    assert len(found.schedules) == 7 and found.agreement.interval is None


def test_models_of_several_schedules_keep_their_curves_when_they_are_decoded_otherwise_too():
    rows = [edit_row(name, 0, 8) for name in SCHEDULES] + [edit_row("cosine", 0, 8, decode_schedule="linear")]
    (study,) = of_memory(*rows, edit_row("cosine", 0, 8, decode_schedule="linear", **RANDOM))
    assert (study.trained, len(study.main), len(study.decoupled), study.hidden) == ("", 7, 8, 0)
    assert not study.in_random_order


def test_the_gain_is_paired_over_seeds_and_has_an_interval_from_three_on():
    def study(seeds):
        rows = [edit_row("cosine", s, t, fd_classifier=5.0 + s - 0.1 * t) for s in seeds for t in (1, 8)]
        rows += [edit_row("cosine", s, 8, fd_classifier=5.0 + s, **RANDOM) for s in seeds]
        return of_memory(*rows)[0]

    at_random, in_one = gains(study((0, 1, 2)), bootstrap=50, seed=0)
    assert (at_random.kind, at_random.schedule, at_random.steps) == ("random order", "cosine", 8)
    assert at_random.value == pytest.approx(-0.8) and at_random.interval == (pytest.approx(-0.8), pytest.approx(-0.8))
    assert (in_one.kind, in_one.value) == ("one step", pytest.approx(-0.7))
    assert all(gain.interval is None for gain in gains(study((0, 1)), bootstrap=50, seed=0))


def test_the_order_of_edits_is_compared_with_that_of_samples_of_models_trained_alike():
    distances = dict(zip(SCHEDULES, (3.0, 2.0, 1.0, 4.0, 5.0, 6.0, 7.0), strict=True))
    rows = [edit_row(name, s, 8, fd_classifier=d + s) for name, d in distances.items() for s in (0, 1)]
    plain = [row(name, s, 8, fd_classifier=-d + s) for name, d in distances.items() for s in (0, 1)]
    runs = [Run(path=Path("run"), rows=plain, training="t"), Run(path=Path("edits"), rows=rows, training="t")]
    (study,), every = edit_studies(runs[1:], Origins.of(runs)), studies(runs[:1])
    assert plain_study(study, [replace(every[0], debug="tiny")]) is None
    beside = plain_study(study, every)
    found = orders(study, beside, bootstrap=20, seed=0)
    assert found.agreement.tau == -1.0 and found.agreement.interval == (-1.0, -1.0)
    assert found.agreement.p == pytest.approx(2 / 5040) and len(found.schedules) == 7


def test_tau_of_rows_with_another_ranking_each_is_that_of_each_pair():
    generator = np.random.default_rng(0)
    first, second = generator.integers(4, size=(2, 50, 6)).astype(float)
    each = [kendall_tau(one[None], other)[0] for one, other in zip(first, second, strict=True)]
    np.testing.assert_array_equal(kendall_tau(first, second), each)


def test_rows_of_edits_lie_in_their_run_and_are_no_points_of_its_curves(tmp_path):
    run = make_run(tmp_path / "run", [row("cosine", 0, 8)], grids=False)
    add_edits(run, [edit_row("cosine", 0, t) for t in (4, 8)])
    (plain,), (edits,) = find_runs(tmp_path), find_edits(tmp_path)
    assert len(plain.points) == 1 and len(edits.edits) == 2
    assert (edits.training, edits.seeds, edits.settings) == (plain.training, plain.seeds, plain.settings)
    runs = [plain, edits]
    assert len(studies([plain], Origins.of(runs))[0].points) == 1
    (study,) = edit_studies([edits], Origins.of(runs))
    assert edit_names([study]) == {run / "editing": "run"} and study.training


def test_edits_without_samples_and_in_folders_of_their_own_are_found(tmp_path):
    with pytest.raises(UserError, match="no results"):
        find_runs(tmp_path)
    add_edits(tmp_path / "out", [edit_row("cosine", 0, 8)])
    add_rows(tmp_path / "copied", [edit_row("cosine", 1, 8)])
    assert find_runs(tmp_path, least=0) == []
    found = find_edits(tmp_path)
    assert [run.path.relative_to(tmp_path).as_posix() for run in found] == ["copied", "out/editing"]
    (study,) = edit_studies(found, Origins.of(found))
    assert edit_names([study]) == {tmp_path / "copied": "copied", tmp_path / "out" / "editing": "out"}
    assert find_edits(tmp_path / "out" / "editing")[0].rows == found[1].rows
    assert find_edits(tmp_path / "absent") == []


def test_rows_of_edits_and_of_samples_in_one_file_are_kept_apart(tmp_path):
    add_rows(tmp_path / "out", [row("cosine", 0, 8), edit_row("cosine", 0, 8), *edit_floors()])
    (plain,), (edits,) = find_runs(tmp_path), find_edits(tmp_path)
    assert (len(plain.points), len(plain.edits), len(edits.edits)) == (1, 0, 1)
    (study,) = edit_studies([edits], Origins.of([plain, edits]))
    assert [kind for kind, _ in at(study)] == ["schedule", "pasted", "held_out"]


def test_a_run_that_is_called_editing_is_a_run(tmp_path):
    make_run(tmp_path / "editing", [row("cosine", 0, 8)], grids=False)
    assert len(find_runs(tmp_path)) == 1 and find_edits(tmp_path) == []


def test_the_code_of_edits_is_that_of_their_own_folder_and_their_run(tmp_path):
    run = make_run(tmp_path / "run", [row("cosine", 0, 8)], grids=False)
    (run / "code.json").write_text(json.dumps({"a": {"x.py": "1"}}))
    (add_edits(run, [edit_row("cosine", 0, 8)]) / "code.json").write_text(json.dumps({"b": {"y.py": "2"}}))
    assert find_edits(tmp_path)[0].code == {"a": {"x.py": "1"}, "b": {"y.py": "2"}}


def test_conditions_choose_edits_too(tmp_path):
    run = make_run(tmp_path / "run", [row("cosine", 0, 8)], grids=False)
    add_edits(run, [edit_row("cosine", 0, 8, hole=hole) for hole in ("center50", "left50")] + edit_floors())
    found = [*find_runs(tmp_path), *find_edits(tmp_path)]
    origins = Origins.of(found)
    (kept,) = Conditions.read("hole=left50").chosen(found, origins)
    assert kept.holds_edits and [row.get("hole") for row in kept.rows] == ["left50", None]  # and held-out images
    assert len(Conditions.read("schedule=cosine").chosen(found, origins)) == 2
    with pytest.raises(UserError, match="rows have center50, left50"):
        Conditions.read("hole=nowhere").chosen(found, origins)
