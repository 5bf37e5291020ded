"""Runs below a folder: what is found, what is skipped, and what is reported as missing or damaged."""

import pytest

from maskgit_lab.ablation.reading import find_runs, short_names
from maskgit_lab.errors import UserError
from maskgit_lab.runs.results import Results, grid_path
from synthetic_runs import make_run, make_sweep, row

ROWS = [row("cosine", 0, t) for t in (4, 8)]


def test_runs_are_found_at_any_depth_and_in_order(tmp_path):
    for name in ("b/deep/er", "a", ".hidden", "a/checkpoints/x", "a/other", "samples"):
        make_run(tmp_path / name, ROWS, grids=False)
    found = find_runs(tmp_path)
    assert [run.path.relative_to(tmp_path).as_posix() for run in found] == ["a", "a/other", "b/deep/er", "samples"]
    assert found[0].rows == ROWS and found[0].n_cut == 0 and not found[0].faults


def test_short_names_leave_out_what_all_paths_share(tmp_path):
    for name in ("x/a", "x/b/c"):
        make_run(tmp_path / name, ROWS, grids=False)
    assert list(short_names(find_runs(tmp_path)).values()) == ["a", "b/c"]
    assert list(short_names(find_runs(tmp_path / "x" / "a")).values()) == ["a"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    make_run(tmp_path / "elsewhere" / "run", ROWS)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "here")
    assert len(find_runs(tmp_path / "here")) == 1


def test_the_training_is_the_same_for_other_schedules_and_seeds_and_another_for_another_model(tmp_path):
    make_sweep(tmp_path / "sweep", ("cosine", "linear"))
    make_run(tmp_path / "deeper", ROWS, depth=12)
    trainings = [run.training for run in find_runs(tmp_path)]
    assert len(trainings) == 5 and len(set(trainings)) == 2 and trainings[0] != trainings[1]
    settings = find_runs(tmp_path)[0].settings
    assert settings["mvtm.net.depth"] == 12 and not any(key.startswith(("seed", "schedule")) for key in settings)


def test_the_training_does_not_depend_on_places_and_the_evaluation(tmp_path):
    for i, added in enumerate(
        ("reuse: true", "rerun: true", "cas: {seed: 1}", "trainer: {devices: 8, precision: 32-true}")
    ):
        run = make_run(tmp_path / str(i), ROWS)
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(f"{text}{added}\n")
    *several, on_hardware = find_runs(tmp_path)
    assert len({run.training for run in several}) == 1 and on_hardware.settings["precision"] == "32-true"
    assert "trainer.devices" not in on_hardware.settings


def test_lines_cut_short_are_counted(tmp_path):
    run = make_run(tmp_path / "run", ROWS)
    with (run / "results.jsonl").open("a") as file:
        file.write('{"steps": 16, "n_sam\n\n')
    found = find_runs(tmp_path)[0]
    assert (found.rows, found.n_cut) == (ROWS, 1)


@pytest.mark.parametrize("damage", ["a: [1", "- 1\n- 2", "\x00", "text", "!!python/object:os.system {}"])
def test_a_damaged_config_is_reported_and_loses_no_row(tmp_path, damage):
    run = make_run(tmp_path / "run", ROWS)
    (run / "config.yaml").write_text(damage)
    found = find_runs(tmp_path)[0]
    assert found.training == "" and found.rows == ROWS and "config.yaml is damaged" in found.faults[0]


def test_an_unfinished_run_says_what_is_missing(tmp_path):
    run = make_run(tmp_path / "run", ROWS, done=False)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("[4, 8]", "[4, 8, 16, 32]"))
    assert find_runs(tmp_path)[0].faults == ("unfinished: T = 16, 32 not measured yet",)
    (run / "run.json").write_text('{"mvtm": {}, "evaluation": []}')  # of an earlier version
    assert find_runs(tmp_path)[0].faults == ()
    (run / "run.json").write_text('{"done": {"tokenizer": {}}}')
    (run / "results.jsonl").unlink()
    make_run(tmp_path / "other", ROWS)
    assert find_runs(tmp_path)[1].faults == ("unfinished: its training has not ended",)
    (run / "run.json").write_text('{"do')
    assert find_runs(tmp_path)[1].faults == ("its run.json is damaged",)


def test_a_row_has_its_grid_or_else_the_runs_own_samples(tmp_path):
    run = find_runs(make_run(tmp_path / "run", ROWS))[0]
    assert run.grid(ROWS[0]) == grid_path(run.path, ROWS[0])
    other = row("cosine", 0, 32)
    assert run.grid(other) is None
    (run.path / "pictures").mkdir()
    (run.path / "pictures" / "samples.png").write_bytes(b"")
    assert run.grid(other) == run.path / "pictures" / "samples.png"


def test_a_folder_without_results_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    Results(tmp_path / "cut" / "results.jsonl").path.parent.mkdir()
    (tmp_path / "cut" / "results.jsonl").write_text('{"steps"')
    (tmp_path / "strange" / "results.jsonl").mkdir(parents=True)
    expected = {
        "nowhere": "does not exist",
        "file": "is a file",
        "empty": "holds no results.jsonl",
        "strange": "holds no",
    }
    cut = r"1 run without a single valid result \(1 damaged lines in results\.jsonl\)"
    for name, sentence in {**expected, "cut": cut}.items():
        with pytest.raises(UserError, match=sentence):
            find_runs(tmp_path / name)
