"""Files of runs that are damaged or not to be written: a sentence, and nothing of a training lost."""

import errno
import os
import shutil

import pytest
import torch
from filelock import FileLock

from maskgit_lab.nets import files
from maskgit_lab.nets.files import write_arrays
from maskgit_lab.runs import lease
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import BEFORE, CODE, CONFIG, DAMAGED_CONFIG, LAST, RECORD
from maskgit_lab.runs.opening import _trained_by
from records import change_record, read_record
from refusals import expect_refused

QUIET = ["logger=none", "trainer.threads=1"]
ASKED = ["decode.steps=[2]", "eval.n_samples=20", "eval.metrics=[fid,nll]", *QUIET]


def weights_in(run):
    return torch.load(run / "checkpoints" / LAST, weights_only=True)["state_dict"]


def test_a_damaged_record_costs_nothing(command, run, tiny_cache):
    own = ["debug=tiny", *QUIET, f"cache_dir={tiny_cache}", f"run_dir={run}"]
    weights, rows = weights_in(run), (run / "results.jsonl").read_bytes()
    (run / RECORD).write_text("{")
    (run / BEFORE).unlink()
    for verb, out in (("sample", "out=samples"), ("evaluate", "decode.steps=[2]")):
        expect_refused(command(verb, f"checkpoint={run}", out), "run.json is damaged: give the train.py command that")
    expect_refused(command("train", *own, "seed=3"), "holds a different run (seed is 0 there and 3 here)")
    assert _trained_by(run) == read_checkpoint_code(run)
    said = command("train", *own)
    assert said.code == 0 and "made again from what is there" in said.out and "training a VQGAN" not in said.out
    assert (run / "results.jsonl").read_bytes() == rows
    assert all(torch.equal(value, weights[key]) for key, value in weights_in(run).items())
    change_record(run, tokenizer={"path": "cache:../../etc/passwd", "weights": "x"})
    said = command("train", *own, "stage=tokens")
    assert said.code == 0 and f"{BEFORE}, the one before it, takes its place" in said.out


def test_settings_that_are_missing_or_changed_are_written_again(command, run, tiny_cache):
    own, config = ["debug=tiny", *QUIET, f"cache_dir={tiny_cache}", f"run_dir={run}"], run / CONFIG
    for text in ("seed: 5", None):
        config.unlink() if text is None else config.write_text(text)
        expect_refused(command("sample", f"checkpoint={run}", "out=samples"), "command that made the run, which")
        said = command("train", *own)
        assert said.code == 0 and "it is written again" in said.out
    assert (run / DAMAGED_CONFIG).read_text() == "seed: 5"
    assert command("export", f"checkpoint={run}", "out=exported").code == 0


PIPES = {
    "sample": (RECORD, CONFIG, f"checkpoints/{LAST}"),
    "report": ("results.jsonl",),
    "clean": (RECORD,),
    "train": (CODE,),
}


@pytest.mark.parametrize(("verb", "name"), [(verb, name) for verb, names in PIPES.items() for name in names])
def test_a_pipe_in_a_run_is_not_waited_for(command, run, tiny_cache, verb, name):
    for path in (run / name, run / BEFORE):
        path.unlink()
    os.mkfifo(run / name)
    given = {
        "sample": [f"checkpoint={run}", "out=samples", "n=1", "decode.steps=1"],
        "report": [f"runs={run}", "out=report", "bootstrap=10"],
        "clean": [f"runs={run}", f"cache_dir={tiny_cache}"],
        "train": ["debug=tiny", "stage=tokens", *QUIET, f"cache_dir={tiny_cache}", f"run_dir={run}"],
    }
    said = command(verb, *given[verb])
    assert said.code in (0, 2) and "Traceback" not in said.err


def read_checkpoint_code(run):
    return torch.load(run / "checkpoints" / LAST, weights_only=True)["maskgit_lab"]["code"]


def test_a_forged_token_cache_of_a_run(command, run, tmp_path):
    tokens = read_record(run)["tokens"]
    shutil.copytree(RunFolder(run).place(tokens["path"]), tmp_path / "codes")
    change_record(run, tokens=tokens | {"path": "run:../codes"})
    (tmp_path / "codes" / "labels.safetensors").write_bytes(b"labels")
    said = command("evaluate", f"checkpoint={run}", *ASKED)
    expect_refused(
        said, "labels.safetensors is damaged (the checksum differs); delete that folder and give `python tra"
    )


def test_a_file_where_samples_are_to_be_kept(command, run):
    (run / "samples").write_text("mine")
    said = command("evaluate", f"checkpoint={run}", *ASKED, "save=[png]")
    expect_refused(said, f"{run}/samples is a file, and save= keeps samples in a folder of that name: move it away")
    assert (run / "samples").read_text() == "mine" and "training" not in said.out


def test_a_run_that_cannot_be_written_is_evaluated_elsewhere(command, run, monkeypatch):
    created = lease._created

    def refuse(path):
        if path.parent == run:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return created(path)

    monkeypatch.setattr(lease, "_created", refuse)
    sentence = "(Read-only file system): give out=FOLDER, which then takes the results, or make it writable"
    expect_refused(command("evaluate", f"checkpoint={run}", *ASKED), sentence)
    assert command("evaluate", f"checkpoint={run}", *ASKED, "out=elsewhere").code == 0


FULL, DENIED = (f"Error while serializing: I/O error: failed (os error {number})" for number in (28, 13))


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.partial"), OSError),
        (files.SafetensorError(FULL), OSError),
        (files.SafetensorError(DENIED), files.UserError),
    ],
)
def test_what_cannot_be_written_names_no_temporary_file(tmp_path, monkeypatch, raised, error):
    def fail(*_):
        raise raised

    monkeypatch.setattr(files, "save_file", fail)
    with pytest.raises(error) as caught:
        write_arrays({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    assert "partial" not in str(caught.value) and "a.safetensors" in str(caught.value)


def test_two_commands_do_not_write_into_one_folder(command, run, tmp_path):
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        for verb in ("sample", "export"):
            expect_refused(command(verb, f"checkpoint={run}", "out=out"), "another process is working in out")
    assert [path.name for path in (tmp_path / "out").iterdir()] in ([], [".lock"])


CHECKPOINTS = {
    "run/last.ckpt": "run/last.ckpt is not a checkpoint in the folder of its run: give that folder, or RUN_DIR/check",
    "last.ckpt": "last.ckpt is not a checkpoint in the folder of its run",
    "run/checkpoints/absent.ckpt": "there is no checkpoint run/checkpoints/absent.ckpt: name an existing one",
    "run/checkpoints": "run/checkpoints contains no run: name run",
}


@pytest.mark.parametrize("path", CHECKPOINTS)
def test_a_checkpoint_by_its_file(command, run, tmp_path, path):
    for place in (tmp_path, run):
        shutil.copy(run / "checkpoints" / LAST, place / LAST)
    for verb in ("sample", "export"):
        expect_refused(command(verb, f"checkpoint={path}", "out=out"), CHECKPOINTS[path])
