"""The order of studies: what a reader came for is first."""

from itertools import permutations
from pathlib import Path

from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.studies import studies
from synthetic_runs import row

CODE = {name: {"parallel.py": name} for name in ("old", "new")}


def run(name: str, schedules, seeds=(0,), steps=(4, 8), modified=0.0, **other) -> Run:
    rows = [
        row(s, seed, t, **{"data": name, "code": "new", **other}) for s in schedules for seed in seeds for t in steps
    ]
    return Run(Path(f"{name}-{modified}"), rows, "t", code=CODE, modified=modified)


RUNS = [
    run("ablation by FID", ("cosine", "linear"), features="inception", fid=9.0, modified=2.0),
    run(
        "ablation by FID",
        ("cosine", "linear"),
        seeds=(0, 1, 2),
        features="inception",
        fid=9.0,
        modified=1.0,
        code="old",
    ),
    run("ablation", ("cosine", "linear"), seeds=(0, 1, 2, 3)),
    run("fewer seeds", ("cosine", "linear"), steps=range(1, 20)),
    run("fewer points", ("cosine", "linear")),
    run("one T", ("cosine", "linear", "square"), seeds=(0, 1, 2), steps=(8,), features="inception", fid=9.0),
    run("one schedule", ("cosine",), steps=range(1, 50)),
    run("tries", ("cosine", "linear"), seeds=(0, 1, 2, 3), debug="tiny", features="inception", fid=9.0),
]


def test_what_a_reader_came_for_is_first_and_tries_are_last():
    expected = [
        "ablation by FID",
        "ablation by FID",
        "ablation",
        "fewer seeds",
        "fewer points",
        "one T",
        "one schedule",
        "tries",
    ]
    assert [study.data for study in studies(RUNS)] == expected
    assert [study.code.age for study in studies(RUNS)] == [0, 1, 0, 0, 0, 0, 0, 0]


def test_the_order_is_the_same_however_the_runs_are_found():
    expected = [study.title for study in studies(RUNS)]
    assert all([study.title for study in studies(several)] == expected for several in list(permutations(RUNS))[::4000])


def test_schedules_of_ones_own_are_no_ablation_of_the_papers():
    own = run("own", ("arccos", "mine", "yours"), seeds=(0, 1, 2))
    assert [study.data for study in studies([own, RUNS[2]])] == ["ablation", "own"]
