"""Paths of all settings are checked and expanded in one place."""

import os
from pathlib import Path

import pytest
import torch

from maskgit_lab.config import SCHEMAS
from maskgit_lab.errors import UserError
from maskgit_lab.paths import expanded, path_of, with_paths
from maskgit_lab.runs.naming import parent_of
from maskgit_lab.sampling.loading import open_trained
from maskgit_lab.settings import TrainConf, checked, run_fingerprint, tokenizer_file

OBJECT = {"_target_": "some_module.Something"}
OPTIM = {"epochs": 1, "batch_size": 8, "lr": 0.1}
TRAIN = {
    "tokenizer": {"net": OBJECT, "weights": None, "discriminator": OBJECT, "optim": OPTIM},
    "mvtm": {"net": OBJECT, "optim": OPTIM},
    "schedule": OBJECT,
    "features": {"name": "inception"},
}
NEEDED = {
    "train": TRAIN,
    "evaluate": {},
    "sample": {"checkpoint": "run", "out": "folder"},
    "edit": {"checkpoint": "run", "out": "folder", "task": "extrapolate", "image": "a.png", "width": 2.0},
    "export": {"checkpoint": "run", "out": "folder"},
    "report": {"runs": "outputs"},
    "clean": {},
}
# The paths that each command takes: all of them are in one of these places.
PATHS = {
    "train": "run_dir cache_dir tokenizer.weights tokenizer.perceptual_weights tokens.path mvtm.weights "
    "features.weights eval.reference eval.precision_weights data.root callbacks.best.dirpath "
    "logger.use.csv.save_dir sweep.runs",
    "evaluate": "checkpoint samples out cache_dir editing.lpips_weights logger.use.csv.save_dir",
    "sample": "checkpoint out cache_dir",
    "edit": "checkpoint image mask out steps_picture side_by_side cache_dir",
    "export": "checkpoint out cache_dir",
    "report": "runs out",
    "clean": "runs remove cache_dir",
}
EVERY = [(verb, key) for verb, keys in PATHS.items() for key in keys.split()]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def settings(verb: str, key: str, value: str):
    """The settings of a command with one of them given."""
    *groups, name = key.split(".")
    given: dict = {}
    group = given
    for each in groups:
        group = group.setdefault(each, {})
    if groups[0:1] in (["data"], ["callbacks"]) or "use" in groups:
        group |= OBJECT
    group[name] = value
    base = NEEDED[verb]
    if key == "mask":
        base = {**base, "task": "inpaint", "width": None}
    values = {**base, **given}
    values |= {own: {**base[own], **given[own]} for own in given if isinstance(base.get(own), dict)}
    return checked(SCHEMAS[verb], values)


def value_of(made, key: str):
    for name in key.split("."):
        made = made[name] if isinstance(made, dict) else getattr(made, name)
    return made[0] if isinstance(made, list) else made


@pytest.mark.parametrize(("verb", "key"), EVERY)
def test_a_path_of_any_command_is_expanded_and_an_empty_one_refused(home, verb, key):
    assert value_of(settings(verb, key, "~/a/b.png"), key) == f"{home}/a/b.png"
    assert value_of(settings(verb, key, "a/b.png"), key) == "a/b.png"
    (home.parent / "loop").symlink_to("loop")
    for value, sentence in {
        "/proc": "it belongs to the system: give the path of a file or a folder of your own",
        "/sys/kernel/x": "it belongs to the system",
        f"{home.parent}/loop": "it is a link that leads back to itself: remove the link, or give another path",
        "": "give the path of a file or a folder",
        "~nobody-of-this-name/x": "~nobody-of-this-name is not a user of this machine: give the whole path",
        "a\0b": "no path has a NUL character",
        "a" * 256: "or 255 in one name",
    }.items():
        with pytest.raises(UserError) as caught:
            settings(verb, key, value)
        assert str(caught.value).startswith(f"{key}=") and sentence in str(caught.value)


def test_a_run_is_the_same_however_its_paths_were_typed(home):
    data = {"data": {**OBJECT, "root": f"{home}/pets/", "name": "~pets"}}
    typed = {"data": {**data["data"], "root": "~/pets/"}}
    names = {run_fingerprint(checked(TrainConf, {**TRAIN, **each})) for each in (data, typed)}
    # As it was before paths were expanded: a plain path is kept to the letter.
    assert len(names) == 1 and checked(TrainConf, {**TRAIN, **typed}).data == data["data"]
    made = checked(TrainConf, {**TRAIN, "data": {**OBJECT, "root": "./pets//a/../"}})
    assert made.data == {**OBJECT, "root": "./pets//a/../"}


@pytest.mark.parametrize("name", ["../../x", "a/b", "/tmp/x", "..", ".git", "~", "~/x", "a\\b", ""])
def test_a_name_leads_nowhere_else(name):
    with pytest.raises(UserError, match=r"^name=.* is not possible: give the name of one folder"):
        checked(TrainConf, {**TRAIN, "name": name})
    assert parent_of(checked(TrainConf, {**TRAIN, "name": "my runs-2"})) == Path("outputs/my runs-2")


def test_what_is_no_path_is_left_as_it_is(home):
    values = {"_target_": "x", "name": "~5 hours", "names": ["~/a", ""], "n": 1, "of": {"b": "~/c"}}
    found = {**values, "names": [f"{home}/a", ""], "of": {"b": f"{home}/c"}}
    assert with_paths({"group": "~/x", "an": values}, "_target_") == {"group": "~/x", "an": found}
    files = {"_target_": "x", "data_files": {"train": "~/t-*.parquet", "test": ["~/a", "b"]}}
    assert with_paths(files, "_target_")["data_files"] == {"train": f"{home}/t-*.parquet", "test": [f"{home}/a", "b"]}
    with pytest.raises(UserError, match=r"^data.data_files.train= is not possible"):
        with_paths({"data": {"_target_": "x", "data_files": {"train": ""}}}, "_target_")


def test_arguments_of_the_library_are_paths_too(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert path_of(Path("a"), "x") == Path("a") and expanded("a/~/") == "a/~/" and expanded("~") == str(home)
    for wrong in (5, None, ["a"]):
        with pytest.raises(UserError, match=r"^x=.* is not possible: give the path"):
            path_of(wrong, "x")
    with pytest.raises(UserError, match="is not UTF-8"):
        path_of(os.fsdecode(b"\xff"), "x")
    with pytest.raises(UserError, match=f"{home}/run contains no run"):
        open_trained("~/run", None, {}, torch.device("cpu"))
    assert tokenizer_file({"weights": "~/t.safetensors"}) == f"{home}/t.safetensors"
    for wrong, shown in ((5, "5"), ("", "")):
        with pytest.raises(UserError, match=f"^tokenizer.weights={shown} is not possible"):
            tokenizer_file({"weights": wrong})
    assert not (tmp_path / "~").exists()
