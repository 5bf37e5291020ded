"""No two studies have the same title, and the title says what differs."""

from pathlib import Path

import pytest

from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.studies import studies
from synthetic_runs import row

PLAIN = "digits, classifier features, 1,437 samples, reference digits-train"


def titles(*runs: Run) -> list[str]:
    return [study.title for study in studies(runs)]


def run(*rows, name: str = "run", **settings) -> Run:
    return Run(Path(name), list(rows), str(settings) if settings else "", settings=settings)


def test_one_study_of_a_heading_has_no_more_than_that():
    assert titles(run(row("cosine", 0, 4), depth=4)) == [PLAIN]


def test_what_was_measured_otherwise_is_named_in_short():
    rows = [row("cosine", 0, 4), row("cosine", 0, 8), row("cosine", 0, 4, splits=10)]
    assert titles(run(*rows, depth=4)) == [f"{PLAIN}, splits=1", f"{PLAIN}, splits=10"]


def test_a_plain_setting_is_named_before_a_hash():
    rows = [row("cosine", 0, 4, labels="a1b2"), row("cosine", 0, 4, splits=10)]
    assert titles(run(*rows, depth=4)) == [f"{PLAIN}, splits=1", f"{PLAIN}, splits=10"]
    assert titles(run(row("cosine", 0, 4, labels="a1b2"), row("cosine", 0, 4, labels="c3"), depth=4)) == [
        f"{PLAIN}, labels=a1b2",
        f"{PLAIN}, labels=c3",
    ]


def test_the_training_is_named_by_the_end_of_its_keys():
    keys = ("mvtm.net.depth", "mvtm.optim.lr", "mvtm.net._target_", "mvtm.optim.epochs")
    values = [(4, 0.1, "a.Transformer", 9), (4, 0.2, "a.Transformer", 9), (8, 0.1, "b.Other", 9)]
    runs = [
        run(row("cosine", 0, 4, model=str(i)), name=str(i), **dict(zip(keys, several, strict=True)))
        for i, several in enumerate(values)
    ]
    assert set(titles(*runs)) == {f"{PLAIN}, depth=4, lr=0.1", f"{PLAIN}, depth=4, lr=0.2", f"{PLAIN}, depth=8, lr=0.1"}
    nets = [run(row("cosine", 0, 4, model=n), name=n, **{"mvtm.net._target_": f"nets.{n}"}) for n in ("A", "B")]
    assert set(titles(*nets)) == {f"{PLAIN}, net=A", f"{PLAIN}, net=B"}


def test_keys_of_the_same_end_are_named_whole():
    each = [{"tokenizer.seed": 1, "mvtm.seed": 1}, {"tokenizer.seed": 2, "mvtm.seed": 2}]
    runs = [run(row("cosine", 0, 4, model=str(i)), name=str(i), **s) for i, s in enumerate(each)]
    assert titles(*runs) == [f"{PLAIN}, tokenizer.seed=1", f"{PLAIN}, tokenizer.seed=2"]


def test_a_setting_that_some_lack_and_training_that_is_not_known():
    plain = row("cosine", 0, 4)
    del plain["kid_subsets"]
    assert set(titles(run(plain, row("cosine", 0, 4), depth=4))) == {
        f"{PLAIN}, kid_subsets=100",
        f"{PLAIN}, no kid_subsets",
    }
    unknown = run(row("cosine", 0, 4, model="b"), name="b")
    assert set(titles(run(row("cosine", 0, 4), depth=4), unknown)) == {PLAIN, f"{PLAIN}, training not known"}


def test_models_of_unknown_training_are_named_by_their_weights():
    runs = [run(row("cosine", 0, 4, model=name), name=name) for name in ("a1", "b2")]
    assert titles(*runs) == [f"{PLAIN}, model=a1", f"{PLAIN}, model=b2"]


def test_a_long_value_is_cut(tmp_path):
    runs = [run(row("cosine", 0, 4, model=n), name=n, root=f"/{'long/' * 20}{n}") for n in ("a", "b")]
    assert [len(title) - len(PLAIN) for title in titles(*runs)] == [40, 40]


@pytest.mark.parametrize("n", [2, 3])
def test_a_number_is_added_where_nothing_else_differs(n):
    """A value that differs where it is cut."""
    runs = [run(row("cosine", 0, 4, model=n), name=n, root=f"{n}/{'long/' * 20}") for n in "abc"[:n]]
    for each in runs:
        each.rows.append(row("cosine", 1, 4, model=f"{each.path}1"))
    assert (
        len(set(found := titles(*runs))) == n
        and found[0] == PLAIN
        and found[1:] == [f"{PLAIN}, {i}" for i in range(2, n + 1)]
    )


def test_older_versions_of_a_file_are_told_apart_by_its_hash():
    code = {f"c{i}": {"parallel.py": f"hash{i}"} for i in range(3)}
    runs = [
        Run(Path(f"r{i}"), [row("cosine", 0, 4, code=f"c{i}")], "t", code=code, modified=float(i)) for i in range(3)
    ]
    older = f"{PLAIN}, measured by older code (parallel.py)"
    assert titles(*runs) == [PLAIN, f"{older}, code=hash1", f"{older}, code=hash0"]
