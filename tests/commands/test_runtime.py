"""`evaluate.py runtime=`: how long the models of runs decode."""

import pytest

from conftest import call
from evaluations import QUIET, rows
from maskgit_lab.runs.timings import Timings
from refusals import expect_refused

ONE = [*QUIET, "trainer.threads=1"]


@pytest.fixture(scope="module")
def autoregressive(tiny_cache, tmp_path_factory):
    """An autoregressive run of the tiny run's codes, trained and not evaluated."""
    folder = tmp_path_factory.mktemp("runs") / "autoregressive"
    settings = ["debug=tiny", "logger=none", "model=autoregressive", "stage=autoregressive", f"cache_dir={tiny_cache}"]
    assert call("train", [*settings, f"run_dir={folder}"]) == 0
    return folder


def timings(run):
    return Timings(run / "runtime" / "runtime.jsonl").rows()


def test_a_run_is_timed_once_and_no_point_of_it_changes(command, run):
    before = rows(run)
    said = command("evaluate", f"checkpoint={run}", "runtime=[1,2]", *ONE)
    assert said.code == 0, said.err
    found = timings(run)
    of_maskgit = [(row["steps"], row["batch_size"]) for row in found if row["decoder"] == "maskgit"]
    assert of_maskgit == [(8, 1), (12, 1), (8, 2), (12, 2)] and rows(run) == before
    assert {row["weights"] for row in found} == {"trained"} and {row["data"] for row in found} == {"digits"}
    assert len({row["model"] for row in found}) == 1 and "seconds per image" in said.out
    again = command("evaluate", f"checkpoint={run}", "runtime=[1,2]", *ONE)
    assert again.code == 0 and "6 cells, 6 of them measured before" in again.out and timings(run) == found


def test_the_steps_are_those_of_the_command(command, run):
    assert command("evaluate", f"checkpoint={run}", "runtime=[1]", "decode.steps=[3]", *ONE).code == 0
    assert [row.get("steps") for row in timings(run)] == [3, None]


def test_an_autoregressive_run_is_timed_with_and_without_a_cache(command, autoregressive):
    said = command("evaluate", f"checkpoint={autoregressive}", "runtime=[2]", *ONE)
    assert said.code == 0, said.err
    cached, uncached, pixels = timings(autoregressive)
    assert (cached["kv_cache"], uncached["kv_cache"], pixels["decoder"]) == (True, False, "tokenizer")
    assert uncached["other_tokens"] == 0 and "2 of 2 images have the same tokens" in said.out
    said = command("evaluate", f"checkpoint={autoregressive}", "runtime=[1]", "decode.kv_cache=true", *ONE)
    assert said.code == 0 and [row.get("kv_cache") for row in timings(autoregressive)[3:]] == [True, None]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runtime=[]"], "give different batch sizes"),
        (["runtime=[0]"], "runtime=0 is not possible: give a whole number of at least 1"),
        (["runtime=[1,1]"], "give different batch sizes"),
        (["runtime=[many]"], "runtime"),
        (["runtime=8"], "runtime"),
        (["runtime=[1]", "out=x"], "leave out=x out"),
        (["runtime=[1]", "optimized_metric=nll"], "leave optimized_metric=nll out"),
        (["runtime=[1]", "choose_temperature=[1,2]"], "leave choose_temperature"),
        (["runtime=[1]", "decode.guidance=2"], "decode.guidance=2"),
        (["runtime=[1]", "decode=autoregressive"], "needs an autoregressive model"),
    ],
)
def test_mistakes(command, tiny_run, arguments, says):
    expect_refused(command("evaluate", f"checkpoint={tiny_run}", *ONE, *arguments), says)


def test_steps_of_an_autoregressive_run_are_refused(command, autoregressive):
    expect_refused(
        command("evaluate", f"checkpoint={autoregressive}", "runtime=[1]", "decode.steps=[8]", *ONE), "leave it out"
    )


def test_images_of_others_are_refused(command, tmp_path):
    (tmp_path / "pictures").mkdir()
    expect_refused(
        command("evaluate", "samples=pictures", "eval.reference=pictures", "runtime=[1]", *ONE), "runtime needs a run"
    )
