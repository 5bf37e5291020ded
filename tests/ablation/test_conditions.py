"""Conditions choose rows by what they say, and by how their model was trained."""

from pathlib import Path

import pytest

from maskgit_lab.ablation.conditions import Conditions
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.studies import studies
from maskgit_lab.errors import UserError
from synthetic_runs import row

EXPORTED = {key: value for key, value in row("cosine", 0, 16).items() if key != "data"}
EXTERNAL = {"samples": "a.npz", "n_samples": 24, "features": "inception", "fid": 3.0}
DIGITS = {"mvtm.optim.lr": 0.001, "mvtm.net.widths": [64, 128], "data.hflip": False, "tokenizer.weights": None}
RUNS = [
    Run(Path("digits"), [row("cosine", seed, t) for seed in (0, 1) for t in (4, 8)], "d", settings=DIGITS),
    Run(Path("cifar"), [row("linear", 2, t, data="cifar10") for t in (4, 8)], "c", settings={"mvtm.optim.lr": 1e-4}),
    Run(Path("file"), [EXPORTED, EXTERNAL], ""),
]


def chosen(text: str) -> list[tuple[str, list[int | None]]]:
    """The folders and T of the rows that are kept."""
    runs = Conditions.read(text).chosen(RUNS, Origins.of(RUNS))
    return [(str(run.path), [each.get("steps") for each in run.rows]) for run in runs]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("data=cifar10", [("cifar", [4, 8])]),
        ("data=digits", [("digits", [4, 8, 4, 8]), ("file", [16])]),
        ("data=digits,seed=0", [("digits", [4, 8]), ("file", [16])]),
        (" data = digits , steps = 8", [("digits", [8, 8])]),
        ("choice_temperature=4.5,steps=16", [("file", [16])]),
        ("samples=a.npz", [("file", [None])]),
        ("mvtm.optim.lr=0.001", [("digits", [4, 8, 4, 8]), ("file", [16])]),
        ("mvtm.optim.lr=1e-3,steps=4.0", [("digits", [4, 4])]),
        ("mvtm.net.widths=[64,128],seed=1", [("digits", [4, 8])]),
        ("mvtm.net.widths=[64, 128],seed=1", [("digits", [4, 8])]),
        ("data.hflip=false,steps=4", [("digits", [4, 4])]),
        ("tokenizer.weights=null,steps=4", [("digits", [4, 4])]),
    ],
)
def test_rows_that_meet_all_conditions_are_kept(text, kept):
    assert chosen(text) == kept


def test_what_is_chosen_keeps_its_training(tmp_path):
    """Also where the run with the config has no row left."""
    origins = Origins.of(RUNS)
    (study,) = studies(Conditions.read("steps=16").chosen(RUNS, origins), origins)
    assert study.data == "digits" and study.training == DIGITS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "where is empty"),
        ("  ", "where is empty"),
        ("data", "'data' is not a condition"),
        ("data=", "'data=' is not a condition"),
        ("=digits", "'=digits' is not a condition"),
        ("data=digits,", "'' is not a condition"),
        ("data=digits,,seed=0", "'' is not a condition"),
        ("seed=0,seed=1", "names seed twice"),
        (
            "daat=digits",
            r"no row has daat \(did you mean data\?\); rows have cas_classifier, choice_temperature, data, .*, steps$",
        ),
        ("mvtm.optim.learning=1", r"no row has mvtm.optim.learning \(did you mean mvtm.optim.lr\?\)"),
        ("data=mnist", "no row has data=mnist: rows have cifar10, digits$"),
        ("steps=5", "no row has steps=5: rows have 4, 8, 16$"),
        ("steps=four", "no row has steps=four"),
        ("data=digits,seed=2", "no row has all of data=digits, seed=2"),
    ],
)
def test_mistakes_are_one_sentence(text, sentence):
    with pytest.raises(UserError, match=sentence):
        chosen(text)


def test_many_values_are_cut():
    runs = [Run(Path("run"), [row("cosine", seed, 4) for seed in range(40)], "t")]
    with pytest.raises(UserError, match=r"rows have 0, 1, .*, 11 and 28 more$"):
        Conditions.read("seed=99").chosen(runs, Origins.of(runs))
