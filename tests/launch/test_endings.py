"""Whatever a command raises ends in one sentence and an exit code; only HYDRA_FULL_ERROR=1 shows a traceback."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.launch import cli
from maskgit_lab.launch.streams import make_printable
from maskgit_lab.launch.what_is_left import what_is_left
from maskgit_lab.settings import EvaluateConf, SampleConf
from refusals import expect_refused

OWN = """
def fails(depth=2):
    if depth:
        return fails(depth - 1)
    raise ValueError("shapes do not match\\nin two lines")
"""
OF_A_WORKER = """Caught KeyError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "/usr/lib/python3/site-packages/torch/utils/data/_utils/worker.py", line 9, in _worker_loop
    data = fetcher.fetch(index)
  File "{own}", line 7, in __getitem__
    return self.labels[index]
KeyError: 'label'
"""


@pytest.fixture
def raised(command, monkeypatch):
    """Runs a command whose work is a function; gives what it says."""

    def run(work, *arguments, verb="report"):
        monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(run=lambda settings: work()))
        needed = {"report": ["runs=a"], "sample": ["checkpoint=a", "out=b"], "clean": []}[verb]
        return command(verb, *needed, *arguments)

    return run


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own in the working folder, one of whose functions raises an error."""
    (tmp_path / "own_fault.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_fault", raising=False)
    import own_fault

    return own_fault.fails


def fails(error):
    def work():
        raise error

    return work


def test_an_error_in_code_of_the_users_own_names_its_line(raised, own, tmp_path):
    said = raised(own)
    expect_refused(said, "error: own_fault.py, line 5, in fails, raised ValueError: shapes do not match: fix it there")
    written = said.err.rpartition("the traceback is in ")[2].strip()
    assert Path(written).parent == Path("outputs/errors")
    kept = (tmp_path / written).read_text()
    assert kept.startswith("maskgit_lab ") and "python report.py runs=a" in kept
    assert "Traceback (most recent call last)" in kept and kept.count("in fails") == 3


def test_an_error_of_a_process_that_loads_data_names_it_too(raised, tmp_path):
    (tmp_path / "own.py").write_text("")
    said = raised(fails(RuntimeError(OF_A_WORKER.format(own=tmp_path / "own.py"))))
    expect_refused(said, "own.py, line 7, in __getitem__, raised RuntimeError: KeyError: 'label': fix it there")


def test_a_sentence_on_what_cannot_be_built_names_it_too(raised, own):
    def work():
        try:
            own()
        except ValueError as error:
            raise UserError("decode cannot be built (shapes do not match): change its settings") from error

    expect_refused(raised(work), "change its settings (own_fault.py, line 5, in fails)")


def test_a_fault_of_the_program_is_one_sentence_and_exit_code_1(raised, monkeypatch):
    monkeypatch.setattr("maskgit_lab.launch.faults._is_own", lambda file: False)  # nor is this test the user's code
    said = raised(fails(AssertionError()))
    assert said.code == cli.EXIT_FAULT and len(said.err.splitlines()) == 1
    assert said.err.startswith("error: report.py met an unexpected error (AssertionError: AssertionError; ")
    assert "this is a fault of the program or of this machine, not of your settings; the traceback is in " in said.err


def test_where_nothing_can_be_written_the_switch_is_named(raised, own, tmp_path, monkeypatch):
    (tmp_path / "outputs").write_text("a file")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "outputs"))
    expect_refused(raised(own), "HYDRA_FULL_ERROR=1 before the command shows the traceback")


def test_the_switch_shows_the_traceback(raised, own, monkeypatch):
    monkeypatch.setenv(cli.FULL_ERROR, "1")
    with pytest.raises(ValueError, match="shapes do not match"):
        raised(own)


def test_every_job_in_this_process_has_its_sentence_and_the_exit_code_says_that_some_failed(raised):
    said = raised(fails(UserError("there is no run")), "-m", "seed=0,1")
    assert said.code == 2
    assert said.err.splitlines() == [
        "error: there is no run",
        "error: there is no run",
        "error: 2 jobs failed, as shown above: fix what is wrong, and run the same command again",
    ]


def test_ctrl_c_says_what_is_true(raised, tmp_path):
    def stops_with(what):
        if what:
            (tmp_path / "b" / "cat").mkdir(parents=True)
        raise KeyboardInterrupt

    said = raised(lambda: stops_with(None), verb="sample")
    assert said.code == 130 and said.err == "interrupted: nothing was written, and the same command begins again\n"
    said = raised(lambda: stops_with("images"), verb="sample")
    assert said.err == (
        "interrupted: out=b is not complete: remove it, or choose another folder, and give the command again\n"
    )
    assert "what was removed is gone" in raised(lambda: stops_with(None), verb="clean").err
    assert "stay finished" in raised(fails(KeyboardInterrupt("jobs that were finished stay finished"))).err


def test_ctrl_c_promises_no_more_than_there_is():
    assert what_is_left("train", None) == "nothing was begun"
    assert "is kept, and the same" in what_is_left("evaluate", EvaluateConf(checkpoint="a"))
    assert "nothing is kept without out=FOLDER" in what_is_left("evaluate", EvaluateConf(samples="a"))
    assert "nothing was written" in what_is_left("sample", SampleConf(checkpoint="a", out="absent"))


def test_a_terminal_that_knows_only_ascii(monkeypatch):
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, "ascii"))
    make_printable()
    print("FD 3.1 \u00b1 0.2, 16 \u00d7 16, caf\u00e9, 8\u00b2, \u6a21, \udcff", flush=True)
    assert printed.getvalue() == b"FD 3.1 +/- 0.2, 16 x 16, cafe, 82, \\u6a21, \\udcff\n"


def test_the_windows_of_this_machine_do_not_matter(raised, monkeypatch):
    seen = []
    monkeypatch.setenv("MPLBACKEND", "garbage")
    assert raised(lambda: seen.append(__import__("os").environ["MPLBACKEND"])).code == 0
    assert seen == ["agg"]
