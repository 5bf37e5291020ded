"""`clean.py` as a user runs it."""

import json
import os
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from filelock import FileLock

from maskgit_lab.runs.in_use import FOLDER
from maskgit_lab.runs.record import Record
from maskgit_lab.runs.store import Store
from refusals import expect_refused

RECORD = Record(fingerprint="0" * 12, config="", command=[], code="1" * 12, cache="../../cache", wandb_id="id")
CACHE, COSINE, LINEAR = Path("outputs/cache"), Path("outputs/digits/cosine"), Path("outputs/digits/linear")
ASIDE = COSINE / "checkpoints-0123456789ab"


def make_entry(kind, size=2_000_000):
    """An entry of the cache, which is known by its size."""

    def make(folder):
        (folder / "model.safetensors").write_bytes(bytes(size))
        return {}

    return Store(CACHE, print).obtain(kind, {"size": size}, make).path


def leave_lock(path):
    """As a process left it that was killed."""
    path.touch()
    os.utime(path, (time.time() - 60,) * 2)


def write_run(path, *used):
    path.mkdir(parents=True)
    leave_lock(path / ".lock")
    replace(RECORD, used=[each.relative_to(CACHE).as_posix() for each in used]).write(path)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Two runs with a tokenizer each and a reference in common, and much that neither of them needs."""
    monkeypatch.chdir(tmp_path)
    made = {
        **{"cosine": make_entry("tokenizer"), "linear": make_entry("tokenizer", 1_000_000)},
        **{"reference": make_entry("reference"), "unneeded": make_entry("tokens", 5_000_000)},
        **{"lock": CACHE / "tokens" / "ffffffffffff.lock", "scoring": CACHE / "scoring"},
    }
    made["partial"] = (finished := make_entry("classifier")).rename(finished.with_suffix(".partial"))
    leave_lock(made["lock"])
    made["scoring"].mkdir()
    (made["scoring"] / "0.safetensors").write_bytes(bytes(1000))
    write_run(COSINE, made["cosine"], made["reference"])
    write_run(LINEAR, made["linear"], made["reference"])
    ASIDE.mkdir()
    (ASIDE / "last.ckpt").write_bytes(bytes(3_000_000))
    return made


def everything():
    """But for who works where, which a command looks at."""
    return {path for path in Path().rglob("*") if FOLDER not in path.parts and path.name != ".lock"}


def test_it_lists_everything_and_touches_nothing(command, lab):
    before = set(Path().rglob("*"))
    said = command("clean")
    assert said.code == 0 and said.err == "" and set(Path().rglob("*")) == before
    lines = said.out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    about = {path.split()[-1]: state.strip() for path, state in pairwise(lines) if " min " in path}
    assert about[str(COSINE)] == "unfinished"
    assert about[str(ASIDE)] == "checkpoints that a rerun set aside, counted with the run"
    assert about[str(lab["cosine"])] == f"needed by {COSINE}"
    assert about[str(lab["reference"])] == f"needed by {COSINE}, {LINEAR}"
    assert about[str(lab["unneeded"])] == "needed by no run"
    assert about[str(lab["partial"])] == "half-made"
    assert about[str(lab["lock"])] == "left-over lock"
    assert about[str(lab["scoring"])] == "unfinished evaluations"
    assert "total      15.0 MB" in said.out and "remove=unused would free 5.0 MB" in said.out
    assert "searched outputs; runs elsewhere are not seen" in said.out


def test_unused_removes_what_no_run_needs(command, lab):
    before = everything()
    said = command("clean", "remove=unused")
    assert said.code == 0 and said.err == "" and "freed      5.0 MB" in said.out
    removed = [lab[name] for name in ("unneeded", "lock")]
    gone = {path for path in before - everything() if path.parent.parent == CACHE}
    assert gone == set(removed)
    assert all(str(path) in said.out.partition("freed")[0] for path in removed)
    kept = ("cosine", "linear", "reference", "scoring", "partial")
    assert all(lab[name].is_dir() for name in kept) and ASIDE.is_dir()
    again = command("clean", "remove=unused")
    assert again.code == 0 and "there is nothing to remove" in again.out


@pytest.mark.parametrize("form", ["{}", "[{}]", "./{}", "{}/", "outputs/../{}"])
def test_a_path_may_be_written_in_several_ways(command, lab, form):
    assert command("clean", f"remove={form.format(lab['unneeded'])}").code == 0
    assert not lab["unneeded"].exists() and lab["partial"].exists()


def test_what_is_absolute_or_has_spaces_is_found_too(command, lab, tmp_path):
    write_run(Path("outputs/my run"), lab["unneeded"])
    assert command("clean", f"remove=[{tmp_path / lab['unneeded']},{tmp_path}/outputs/my run]").code == 0
    assert not Path("outputs/my run").exists() and not lab["unneeded"].exists()


def test_a_run_is_removed_whole_and_its_tokenizer_with_it_if_named(command, lab):
    said = command("clean", f"remove=[{lab['cosine']},{ASIDE},{COSINE}]")
    assert said.code == 0 and "freed      5.0 MB" in said.out
    assert not COSINE.exists() and not lab["cosine"].exists() and LINEAR.exists()


def test_checkpoints_that_were_set_aside_are_removed_alone(command, lab):
    assert command("clean", f"remove={ASIDE}").code == 0
    assert not ASIDE.exists() and (COSINE / "run.json").exists()


def test_what_is_made_again_is_removed_with_a_note(command, lab):
    said = command("clean", f"remove={lab['reference']}")
    assert said.code == 0 and "are made again" in said.out
    assert not lab["reference"].exists() and not lab["reference"].with_suffix(".lock").exists()


def test_a_link_is_removed_and_what_it_names_stays(command, lab):
    elsewhere = lab["unneeded"].rename("elsewhere")
    lab["unneeded"].symlink_to(elsewhere.absolute())
    assert command("clean", "remove=unused").code == 0
    assert not lab["unneeded"].is_symlink() and (elsewhere / "model.safetensors").exists()


def test_runs_in_several_folders_share_a_cache(command, lab):
    write_run(Path("more/run"), lab["unneeded"])
    said = command("clean", "runs=[outputs,more]", "remove=unused")
    assert said.code == 0 and "searched outputs, more" in said.out and lab["unneeded"].exists()
    assert command("clean", "runs=outputs", "remove=unused").code == 0 and not lab["unneeded"].exists()


def test_a_run_of_an_earlier_version_keeps_what_it_mentions(command, lab):
    old = Path("outputs/old")
    old.mkdir()
    mentions = {"path": str(lab["unneeded"].absolute() / "codes.safetensors")}
    (old / "run.json").write_text(json.dumps({"fingerprint": "f", "tokens": mentions}))
    assert "of an earlier version" in command("clean").out
    assert command("clean", "remove=unused").code == 0 and lab["unneeded"].exists()
    expect_refused(command("clean", f"remove={lab['unneeded']}"), "is needed by outputs/old")


REFUSED = {
    "runs=nowhere": "runs=nowhere does not exist",
    "runs=file": "runs=file is a file",
    "runs=[]": "runs is empty",
    "runs=[outputs,nowhere]": "runs=nowhere does not exist",
    "cache_dir=file": "cache_dir=file is a file",
    "cache_dir=": "cache_dir= is not possible",
    "remove=": "remove= is not possible: give the path of a file or a folder",
    "remove=[]": "remove is empty",
    "remove=.": "remove=. is not in the list",
    "remove=..": "remove=.. is not in the list",
    "remove=/": "remove=/ is not in the list",
    "remove=file": "remove=file is not in the list",
    "remove=outputs": "remove=outputs is not in the list",
    "remove=outputs/cache": "remove=outputs/cache is not in the list",
    "remove=outputs/cache/tokenizer": "is not in the list",
    "remove=outputs/digits/cosine/run.json": "is not in the list",
    "remove=outputs/digits/cosine/..": "is not in the list",
    "remove=[outputs/digits/cosine,nowhere]": "remove=nowhere is not in the list",
    "remove=[unused,outputs/digits/cosine]": "remove=unused goes alone",
    "remove=5": "remove=5 is not a path: write a name that is a number as ./5",
    "remove={a: b}": "is not a path",
    "remove=true": "remove=true is not a path: give a path, or a list of paths",
    "runs=null": "runs=null is not a path: give a path, or a list of paths",
    "runs=[[outputs]]": "runs=[[outputs]] is not a path: give",
    "runs=/proc": "runs=/proc is not possible: it belongs to the system",
    "remoev=unused": "there is no such setting (did you mean remove?)",
    "rerun=true": "there is no such setting",
}


@pytest.mark.parametrize("setting", REFUSED, ids=str)
def test_mistakes_give_one_sentence_and_remove_nothing(command, lab, setting):
    Path("file").write_text("mine")
    before = everything()
    expect_refused(command("clean", setting), REFUSED[setting])
    assert everything() == before


@pytest.mark.parametrize("with_it", ["", ",outputs/digits/linear"])
def test_a_tokenizer_that_a_run_needs_stays(command, lab, with_it):
    before = everything()
    said = command("clean", f"remove=[{lab['cosine']}{with_it}]")
    expect_refused(said, f"{lab['cosine']} is needed by {COSINE}, whose checkpoints are of no use without it")
    assert everything() == before


def test_while_a_damaged_run_is_there_nothing_is_unused(command, lab):
    (LINEAR / "run.json").write_text('{"fingerprint"')
    before, sentence = everything(), f"{LINEAR}/run.json is damaged"
    listed = command("clean")
    assert f"not known: {sentence}" in listed.out and listed.code == 0
    expect_refused(command("clean", "remove=unused"), sentence)
    expect_refused(command("clean", f"remove={lab['linear']}"), sentence)
    assert everything() == before
    assert command("clean", f"remove=[{LINEAR},{lab['linear']}]").code == 0
    assert not LINEAR.exists() and command("clean", "remove=unused").code == 0


@pytest.mark.parametrize("what", [COSINE, ASIDE])
def test_a_run_in_use_is_shown_and_stays(command, lab, what):
    with FileLock(COSINE / ".lock"):
        assert "in use: unfinished" in command("clean").out
        before = everything()
        expect_refused(command("clean", f"remove=[{LINEAR},{what}]"), f"{COSINE} is in use: wait for")
        assert everything() == before


def test_a_cache_in_use_stays_and_runs_may_be_removed(command, lab):
    store = Store(CACHE, print)
    store.hold()
    assert "outputs/cache (in use)" in command("clean").out
    before = everything()
    for remove in ("unused", lab["unneeded"], f"[{LINEAR},{lab['linear']}]"):
        said = command("clean", f"remove={remove}")
        expect_refused(said, "a command is working with the cache outputs/cache: wait for it")
    assert everything() == before
    assert command("clean", f"remove={LINEAR}").code == 0 and not LINEAR.exists()
    del store
    assert command("clean", "remove=unused").code == 0


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_removed(command, lab, monkeypatch):
    access, before = os.access, everything()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != lab["unneeded"] and access(path, mode))
    expect_refused(command("clean", "remove=unused"), f"{lab['unneeded']} cannot be removed, since")
    assert everything() == before


def test_a_run_that_holds_more_than_itself_stays(command, lab, monkeypatch):
    write_run(COSINE / "inside")
    expect_refused(command("clean", f"remove={COSINE}"), "since the run outputs/digits/cosine/inside lies in it")
    replace(RECORD).write(Path("outputs"))
    expect_refused(command("clean", "remove=outputs"), "since the cache outputs/cache lies in it")
    monkeypatch.chdir(LINEAR)
    said = command("clean", "runs=.", "cache_dir=../../cache", "remove=.")
    expect_refused(said, "since the working folder")
    assert Path("run.json").exists()


def test_a_run_inside_another_goes_with_it_if_named(command, lab):
    write_run(COSINE / "inside")
    assert command("clean", f"remove=[{COSINE},{COSINE}/inside]").code == 0 and not COSINE.exists()


def test_a_link_to_a_run_stays(command, lab):
    write_run(Path("elsewhere/run"), lab["unneeded"])
    Path("outputs/run").symlink_to(Path("elsewhere/run").absolute())
    expect_refused(command("clean", f"remove=[outputs/run,{lab['unneeded']}]"), "outputs/run is a link: name the run")
    assert Path("outputs/run").is_symlink() and lab["unneeded"].exists()


def test_without_a_cache_there_are_runs(command, tmp_path):
    write_run(COSINE)
    said = command("clean")
    assert said.code == 0 and "outputs/cache (does not exist)" in said.out and str(COSINE) in said.out
    assert command("clean", f"remove={COSINE}").code == 0 and not COSINE.exists() and not CACHE.exists()


def test_help(command):
    said = command("clean", "--help")
    assert said.code == 0 and "python clean.py remove=unused" in said.out


def test_a_cache_whose_runs_are_not_found_is_left_alone(command, lab, tmp_path):
    (tmp_path / "empty").mkdir()
    before = everything()
    expect_refused(command("clean", "remove=unused", "runs=empty"), "there is no run in empty: name all folders")
    assert everything() == before
