"""Points of code that differs share no study; code that merely has other files does."""

import os
from pathlib import Path

import pytest

from maskgit_lab.ablation.reading import find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.provenance import provenance
from synthetic_runs import add_rows, make_run, row, write_code

PARALLEL, VQGAN, ARCCOS, MVTM = "decoding/parallel.py", "nets/vqgan.py", "arccos.py", "objectives/mvtm.py"
FILES = {
    "old": {PARALLEL: "1", VQGAN: "1"},
    "new": {PARALLEL: "2", VQGAN: "1"},
    "newest": {PARALLEL: "3", VQGAN: "1"},
    "own": {PARALLEL: "2", VQGAN: "1", ARCCOS: "1"},
    "short": {VQGAN: "1"},
    "trained": {MVTM: "1", PARALLEL: "7"},
    "trained again": {MVTM: "2", PARALLEL: "7"},
    "trained otherwise": {ARCCOS: "2"},
}
WHEN = iter(range(1_000_000, 2_000_000))


def run(folder: Path, name: str, *rows, files=FILES) -> None:
    """A run whose results are newer than those of every run before."""
    path = make_run(folder / name, rows, grids=False)
    write_code(path, files)
    when = next(WHEN)
    os.utime(path / "results.jsonl", (when, when))


def rows(*codes: str, schedule: str = "cosine", training: str = "trained", **other) -> list[dict]:
    """A point for each code, at T = 4, 8 and so on."""
    return [row(schedule, 0, 4 * 2**i, code=c, training_code=training, **other) for i, c in enumerate(codes)]


def contents(folder: Path) -> list[list[tuple[str, int]]]:
    return [[(p.schedule, p.steps) for p in study.points] for study in studies(find_runs(folder))]


def by_label(folder: Path) -> dict[str, Study]:
    return {study.code.label: study for study in studies(find_runs(folder))}


def test_versions_of_a_file_that_measured_are_kept_apart_and_the_newest_comes_first(tmp_path):
    run(tmp_path, "b", *rows("old", "old", "old"))
    run(tmp_path, "a", *rows("new", schedule="linear"))
    assert contents(tmp_path) == [[("linear", 4)], [("cosine", 4), ("cosine", 8), ("cosine", 16)]]
    new, old = studies(find_runs(tmp_path))
    assert (new.code.label, old.code.label) == ("", "measured by older code (parallel.py)")
    assert provenance(new) == []
    assert provenance(old) == [
        "These points were measured by older code than the current ones: decoding/parallel.py differs."
    ]
    assert old.title == f"{new.title}, measured by older code (parallel.py)"


def test_what_is_newest_is_told_by_the_files_time_and_then_by_the_line(tmp_path):
    run(tmp_path, "a", *rows("new"))
    run(tmp_path, "b", *rows("old", schedule="linear"))
    assert contents(tmp_path) == [[("linear", 4)], [("cosine", 4)]]
    run(tmp_path, "c", *rows("old", "new", schedule="square"))
    assert contents(tmp_path) == [[("cosine", 4), ("square", 8)], [("linear", 4), ("square", 4)]]


def test_a_point_that_was_measured_again_is_in_both_studies(tmp_path):
    run(tmp_path, "a", *rows("old", "old"), row("cosine", 0, 4, code="new", training_code="trained", fd_classifier=9.0))
    new, old = studies(find_runs(tmp_path))
    assert [p.value("fd_classifier") for p in new.points] == [9.0] and len(old.points) == 2


def test_files_that_only_some_runs_have_keep_nothing_apart(tmp_path):
    """A schedule of the user's own, and a command that runs fewer files."""
    run(tmp_path, "a", *rows("new"))
    run(tmp_path, "b", *rows("own", schedule="arccos"))
    run(tmp_path, "c", *rows("short", schedule="linear"))
    assert [len(each) for each in contents(tmp_path)] == [3]


@pytest.mark.parametrize("last", ["old", "short", "new"])
def test_a_row_without_a_file_joins_its_newest_version(tmp_path, last):
    names = sorted(["old", "new", "short"], key=lambda name: name == last)
    for name, schedule in zip(names, ("cosine", "linear", "square"), strict=True):
        run(tmp_path, name, *rows(name, schedule=schedule))
    newest = "old" if last == "old" else "new"
    current = studies(find_runs(tmp_path))[0]
    assert {str(p.row["code"]) for p in current.points} == {newest, "short"}


def test_two_older_versions_are_two_studies(tmp_path):
    for name, schedule in (("old", "cosine"), ("new", "linear"), ("newest", "square")):
        run(tmp_path, name, *rows(name, schedule=schedule))
    assert contents(tmp_path) == [[("square", 4)], [("linear", 4)], [("cosine", 4)]]


def test_code_that_trained_matters_for_training_alone(tmp_path):
    """`parallel.py` has another version in the code that trained, and `arccos.py` in the code that measured."""
    run(tmp_path, "a", *rows("new", training="trained"))
    run(tmp_path, "b", *rows("own", schedule="linear", training="trained otherwise"))
    assert [len(each) for each in contents(tmp_path)] == [2]
    run(tmp_path, "c", *rows("new", schedule="square", training="trained again"))
    found = by_label(tmp_path)
    assert set(found) == {"", "trained by older code (mvtm.py)"}
    old = found["trained by older code (mvtm.py)"]
    assert [p.schedule for p in old.points] == ["cosine"]
    assert provenance(old) == [
        "The models of these points were trained by older code than the current ones: objectives/mvtm.py differs."
    ]


def test_rows_without_code_are_a_study_of_their_own_however_new(tmp_path):
    run(tmp_path, "a", *rows("new"))
    run(tmp_path, "b", row("linear", 0, 4), row("linear", 0, 8))
    found = by_label(tmp_path)
    assert list(found) == ["", "earlier version of maskgit_lab"]
    assert "share no study with others" in provenance(found["earlier version of maskgit_lab"])[0]


def test_rows_without_code_are_nothing_special_where_all_are_such(tmp_path):
    run(tmp_path, "b", row("linear", 0, 4), row("linear", 0, 8))
    ((label, study),) = by_label(tmp_path).items()
    assert label == "" and provenance(study) == []


def test_an_earlier_version_is_named_also_where_it_measured_something_else(tmp_path):
    run(tmp_path, "a", *rows("new"))
    run(tmp_path, "b", row("linear", 0, 4, data="cifar10"))
    (other,) = (study for study in studies(find_runs(tmp_path)) if study.data == "cifar10")
    assert other.title.endswith(", earlier version of maskgit_lab")


@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", '{"old": 5}', '{"old": null}', "\x00", None], ids=str)
def test_without_its_files_code_is_known_by_its_fingerprint(tmp_path, damage):
    run(tmp_path, "a", *rows("old"), files={})
    run(tmp_path, "b", *rows("new", schedule="linear"), files={})
    run(tmp_path, "c", *rows("new", schedule="square"), files={})
    for name in "abc":
        path = tmp_path / name / "code.json"
        path.unlink() if damage is None else path.write_text(damage)
    new, old = studies(find_runs(tmp_path))
    assert [len(new.points), len(old.points)] == [2, 1] and old.code.label == "measured by older code"
    assert "which files differ is not known" in provenance(old)[0]
    assert all(("code.json is damaged" in str(run.faults)) == (damage is not None) for run in find_runs(tmp_path))


def test_the_files_of_code_are_read_from_any_run(tmp_path):
    run(tmp_path, "a", *rows("new"))
    add_rows(tmp_path / "evaluated", rows("own", "own"))
    write_code(tmp_path / "evaluated", {"own": FILES["own"]})
    (study,) = studies(find_runs(tmp_path))
    assert len(study.points) == 2 and len(study.runs) == 2


def test_an_exported_file_has_the_training_code_of_its_model(tmp_path):
    run(tmp_path, "a", *rows("new", "new"))
    run(tmp_path, "b", *rows("new", schedule="linear", training="trained again"))
    add_rows(tmp_path / "file", [{k: v for k, v in each.items() if k != "training_code"} for each in rows("new")])
    assert contents(tmp_path) == [[("cosine", 4), ("cosine", 8)], [("linear", 4)]]


def test_reused_rows_belong_to_the_code_that_they_are_reused_as(tmp_path):
    run(tmp_path, "a", *rows("new", "new", "new"))
    reused = {"reused_code": "old", "reused_training_code": "trained again"}
    run(tmp_path, "b", *rows("new", schedule="linear", **reused))
    (study,) = studies(find_runs(tmp_path))
    assert provenance(study) == [
        "1 of 4 points was measured by earlier code and reused (reuse=true).",
        "The models of 1 of 4 points were trained by earlier code and reused (reuse=true).",
    ]


def test_debug_runs_share_no_study_with_others(tmp_path):
    run(tmp_path, "a", *rows("new", "new", debug="tiny"))
    run(tmp_path, "b", *rows("new", schedule="linear"))
    run(tmp_path, "c", *rows("new", schedule="linear", debug="dry_run"))
    found = {study.title: study for study in studies(find_runs(tmp_path))}
    plain = "digits, classifier features, 1,437 samples, reference digits-train"
    assert set(found) == {plain, f"Debug runs (tiny): {plain}", f"Debug runs (dry_run): {plain}"}
    assert "These are debug runs (tiny)" in provenance(found[f"Debug runs (tiny): {plain}"])[0]


def test_an_evaluation_elsewhere_of_a_debug_run_is_one_too(tmp_path):
    run(tmp_path, "a", *rows("new", debug="tiny"))
    add_rows(tmp_path / "evaluated", rows("new", "new"))
    (study,) = studies(find_runs(tmp_path))
    assert study.debug == "tiny" and len(study.points) == 2
