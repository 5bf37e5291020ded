"""`report.py` as a user runs it."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from maskgit_lab.launch.arguments import _quoted
from refusals import expect_refused
from synthetic_runs import make_run, make_sweep, row


@pytest.fixture
def sweep(tmp_path):
    return make_sweep(tmp_path / "runs", ("cosine", "linear", "square_root"), steps=(4, 8))


def test_it_writes_the_report_and_prints_what_is_in_it(command, sweep, tmp_path):
    printed = command("report", f"runs={sweep}", "out=report", "bootstrap=100")
    assert printed.code == 0 and printed.err == ""
    assert "6 of them, 12 rows, 1 study" in printed.out and "report/report.html" in printed.out
    assert "our order of 3 schedules" in printed.out and "7.61 ± 0.04" in printed.out
    assert "exponential, cubic, square, logarithmic are not measured here" in printed.out
    assert (tmp_path / "report" / "report.html").stat().st_size < 8e6
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "report"}


def test_a_truncated_line_is_printed(command, sweep):
    with (sweep / "schedule_cosine+seed_0" / "results.jsonl").open("a") as file:
        file.write('{"steps": 16, "n_sa')
    printed = command("report", f"runs={sweep}", "out=report")
    assert printed.code == 0 and "1 line of the results of schedule_cosine+seed_0 could not be read" in printed.out


def test_chapters_of_one_heading_are_printed_with_what_differs(command, sweep):
    make_run(sweep / "other", [row("cosine", 0, t, model="deeper") for t in (4, 8)], depth=12)
    printed = " ".join(command("report", f"runs={sweep}", "out=report").out.split())
    assert "reference digits-train, depth=4" in printed and "reference digits-train, depth=12" in printed


def test_runs_of_other_data_are_another_study(command, sweep):
    make_run(sweep / "other", [row("cosine", 0, t, data="cifar10") for t in (4, 8)])
    printed = command("report", f"runs={sweep}", "out=report")
    assert printed.code == 0 and "2 studies" in printed.out and "cifar10, classifier features" in printed.out


CIFAR = [row("cosine", 0, t, data="cifar10", model="other") for t in (4, 8)]


@pytest.mark.parametrize("where", ["data=digits,seed=0", "'data=digits,seed=0'", '"data=digits,seed=0"'])
def test_where_chooses_rows_and_the_page_says_so(command, sweep, tmp_path, where):
    make_run(sweep / "other", CIFAR)
    printed = command("report", f"runs={sweep}", "out=report", f"where={where}")
    assert printed.code == 0 and "3 of them, 6 rows, 1 study" in printed.out
    assert "data=digits, seed=0: 6 of 14 rows" in printed.out and "cifar10" not in printed.out
    for page in ("report.html", "report.md"):
        assert "Filtered by data=digits, seed=0." in (tmp_path / "report" / page).read_text().replace("\\", "")


def test_where_chooses_by_the_settings_of_the_training(command, sweep):
    make_run(sweep / "other", CIFAR, depth=12)
    printed = command("report", f"runs={sweep}", "out=report", "where=mvtm.net.depth=12")
    assert printed.code == 0 and "1 of them, 2 rows, 1 study" in printed.out
    assert "14 rows" in command("report", f"runs={sweep}", "out=report", "where=null").out


@pytest.mark.parametrize("value", ["a=1,b=2", "a=it's", "a=\\", "a=\\'b", "", "a=[1,2],b={x:1}", "a=x y#z", 'a="b"'])
def test_where_reaches_the_command_as_it_was_written(value):
    parsed = OverridesParser.create().parse_override(_quoted(f"where={value}"))
    assert parsed.value() == value and not parsed.is_sweep_override()


REFUSED = {
    "where=": "where is empty: give conditions such as where=data=digits,seed=0",
    "where=data": "'data' is not a condition",
    "where=daat=digits": "no row has daat (did you mean data?)",
    "where=data=mnist,seed=0": "no row has data=mnist: rows have digits",
    "runs=nowhere": "runs=nowhere does not exist",
    "runs=file": "runs=file is a file",
    "runs=/proc": "runs=/proc is not possible: it belongs to the system",
    "runs=empty": "holds no results.jsonl",
    "out=file": "out=file is a file: choose a folder",
    "out=file/x": "cannot write out=file/x",
    "out=mine": "out=mine has report.md, figures from elsewhere, which would be replaced: choose another folder",
    "out=''": "out= is not possible: give the path of a file or a folder",
    "runs=''": "runs= is not possible: give the path of a file or a folder",
    "rnus=x": "there is no such setting (did you mean runs?)",
    "bootstrap=0": "bootstrap=0 is not possible: give a whole number of at least 1",
    "bootstrap=many": "bootstrap",
    "seed=-1": "give a whole number of at least 0",
    "wandb.projct=x": "did you mean wandb.project?",
}


@pytest.mark.parametrize("setting", REFUSED, ids=str)
def test_mistakes_give_one_sentence(command, sweep, tmp_path, setting):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine" / "figures").mkdir(parents=True)
    (tmp_path / "mine" / "report.md").write_text("mine")
    expect_refused(command("report", f"runs={sweep}", "out=report", setting), REFUSED[setting])
    assert not (tmp_path / "report").exists() and (tmp_path / "file").read_text() == "mine"
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"report.md", "figures"}


def test_runs_is_needed(command):
    expect_refused(command("report"), "runs is needed")
