"""The file of timings: what it keeps, what it passes over, and what becomes of rows of other code."""

import json

import pytest

from maskgit_lab.runs.codes import Stale
from maskgit_lab.runs.timings import Timings, cell_of, find_timings
from timing_rows import CODE, figure, timing, write

OTHER = {**CODE, "maskgit_lab/nets/causal.py": "ba9876543210"}


def test_a_row_is_known_by_its_settings_device_and_threads_alone():
    row = timing()
    assert cell_of(row) == cell_of({**row, "seconds": 9.0, "n": 1, "load": 7.0, "code": "x"})
    changes = [{"batch_size": 8}, {"threads": 2}, {"device": "NVIDIA H100"}, {"torch": "3.0"}, {"repeats": 9}]
    assert len({cell_of({**row, **change}) for change in [{}, *changes]}) == 6


def test_the_last_row_of_a_cell_counts(tmp_path):
    timings = Timings(write(tmp_path, [timing(None), timing(0.2), timing(0.3, steps=12)]))
    assert [row["seconds"] for row in timings.rows()] == [0.2, 0.3]
    assert len(timings.of(CODE)) == 2 and not timings.of(OTHER)


@pytest.mark.parametrize("line", ['{"decoder": "maskg', "[]", "nonsense", "{}"])
def test_a_line_that_is_cut_short_is_passed_over(tmp_path, line):
    path = write(tmp_path, [timing()])
    with path.open("a") as file:
        file.write(line)
    write(tmp_path, [timing(0.3, steps=12)])
    assert [row["steps"] for row in Timings(path).rows()] == [8, 12]


@pytest.mark.parametrize(
    "change", [{"seconds": -1.0}, {"seconds": "fast"}, {"tokens": 0}, {"steps": "8"}, {"decoder": 1}, {"n": None}]
)
def test_a_row_that_says_nothing_is_passed_over(tmp_path, change):
    assert not Timings(write(tmp_path, [{**timing(), **change}])).rows()


def test_a_row_that_was_changed_by_hand_is_passed_over(tmp_path):
    path = write(tmp_path, [timing()])
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 0.001}) + "\n")
    assert not Timings(path).rows()


def test_rows_of_other_code_are_named_measured_again_or_taken_as_they_are(tmp_path):
    timings, cell = Timings(write(tmp_path, [timing()])), cell_of(timing())
    with pytest.raises(Stale, match=r"changed since: maskgit_lab/nets/causal\.py"):
        timings.settle(cell, OTHER, rerun=False, reuse=False)
    timings.settle(cell, OTHER, rerun=True, reuse=False)
    assert not timings.of(OTHER)
    timings.settle(cell, OTHER, rerun=False, reuse=True)
    (row,) = timings.of(OTHER).values()
    assert row["seconds"] == 0.1 and row["reused_code"] == next(iter(timings.of(CODE).values()))["code"]
    timings.settle(cell, OTHER, rerun=False, reuse=False)
    timings.settle(cell_of(timing(steps=12)), OTHER, rerun=False, reuse=False)


def test_files_are_found_in_runs_and_beside_them(tmp_path):
    for place in ("runtime", "digits/a/runtime", "digits/b/runtime"):
        write(tmp_path / place, figure()[:1])
    (tmp_path / "digits" / "a" / "results.jsonl").touch()
    found = [path.parent.relative_to(tmp_path).as_posix() for path in find_timings(tmp_path)]
    assert found == ["digits/a/runtime", "digits/b/runtime", "runtime"]
