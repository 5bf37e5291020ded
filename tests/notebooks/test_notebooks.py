"""The notebooks run from top to bottom on a finished run, and are stored without outputs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbformat import NotebookNode

from records import change_record
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.runs.names import CODE, CONFIG, RECORD
from maskgit_lab.runs.results import Results, samples_in
from synthetic_runs import make_run, row
from wandb_server import ServedRun, serving

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
STORED = sorted(FOLDER.glob("*.ipynb"))
Execute = Callable[..., "Shown"]


class Shown(NamedTuple):
    """What an executed notebook shows."""

    text: str
    n_pictures: int


def stored(name: str, **parameters: object) -> NotebookNode:
    """A notebook with other parameters."""
    notebook = nbformat.read(FOLDER / name, as_version=4)
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert all(f"\n{key}" in f"\n{cell.source}" or f", {key}" in cell.source for key in parameters)
    cell.source += "".join(f"\n{key} = {value!r}" for key, value in parameters.items())
    return notebook


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Executes a notebook as Jupyter does, without warnings; nothing is written beside it or in the home folder."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(name: str, **parameters: object) -> Shown:
        notebook = stored(name, **parameters)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        said = {end: "".join(o.text for o in outputs if o.get("name") == end) for end in ("stdout", "stderr")}
        assert said["stderr"] == ""
        return Shown(said["stdout"], sum("image/png" in output.get("data", {}) for output in outputs))

    return run


@pytest.fixture
def run_through(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Runs the cells of a notebook in this process, where nothing has to be imported again."""
    shown: list[int] = []

    def show() -> None:
        shown.extend(plt.get_fignums())
        plt.close("all")

    monkeypatch.setattr(plt, "show", show)

    def run(name: str, **parameters: object) -> Shown:
        shown.clear()
        plt.close("all")  # what other tests have left open
        names: dict[str, Any] = {}
        for cell in stored(name, **parameters).cells:
            if cell.cell_type == "code":
                exec(cell.source, names)
        return Shown(capsys.readouterr().out, len(shown))

    return run


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_notebook_has_no_outputs_and_clean_metadata(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.keys() <= {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.metadata.keys() <= {"tags"}
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)


def test_one_decoding_is_walked_through(execute, tiny_run):
    shown = execute("one_decoding.ipynb", RUN=str(tiny_run), T=3, CLASS=7)
    assert shown.n_pictures == 5
    assert "cosine schedule" in shown.text and "class 7 is '7'" in shown.text
    assert f"folder    {tiny_run}\nname      tiny\nsettings  debug=tiny logger=none" in shown.text
    assert "debug run yes (tiny)" in shown.text
    table = shown.text.split("mean p(code)\n")[1]
    assert [line.split()[0] for line in table.splitlines()] == ["1", "2", "3"]
    assert table.splitlines()[-1].split()[3] == "1"  # one is masked again after the last step too


def opened(name: str, cell: str, parameters: str) -> dict[str, Any]:
    """Runs the first cells of a notebook in this process, up to one of them; gives what they define."""
    cells = {cell.id: cell.source for cell in nbformat.read(FOLDER / name, as_version=4).cells}
    names: dict[str, Any] = {}
    for part in (cells["parameters"], parameters, cells["imports"], cells[cell]):
        exec(part, names)
    return names


def test_without_a_run_the_command_that_makes_one_is_named(tmp_path):
    with pytest.raises(UserError, match=r"python train\.py schedule=cosine"):
        opened("one_decoding.ipynb", "open", f"OUTPUTS = {str(tmp_path)!r}")


@pytest.mark.parametrize(
    ("name", "cell", "parameters", "message"),
    [
        ("one_decoding.ipynb", "open", "RUN = 'nowhere'", "RUN = nowhere is not a folder"),
        ("one_decoding.ipynb", "open", "RUN = RUNS; CLASS = 10", "CLASS = 10: choose one from 0 to 9"),
        ("ablation.ipynb", "read", "SOURCE = 'w&b'", "choose folder or wandb"),
        ("ablation.ipynb", "read", "RUNS = 'nowhere'", "runs=nowhere does not exist"),
        ("ablation.ipynb", "read", "DEBUG = True; STUDY = 1", "STUDY = 1: choose one of the studies above, from 0 to 0"),
    ],
)
def test_mistakes_are_one_sentence(tiny_run, name, cell, parameters, message):
    with pytest.raises(UserError, match=message):
        opened(name, cell, f"RUNS = {str(tiny_run)!r}; {parameters}")


def test_the_newest_run_that_is_no_debug_run_is_decoded(run, tmp_path, capsys):
    whole = Path(shutil.copytree(run, tmp_path / "whole"))
    (whole / CONFIG).write_text((whole / CONFIG).read_text().replace("debug: tiny", "debug: null"))
    change_record(whole, config=file_sha256(whole / CONFIG))
    (whole / "results.jsonl").unlink()
    os.utime(run / RECORD, (2e9, 2e9))  # the newest, but a try
    parameters = f"OUTPUTS = {str(tmp_path)!r}"
    assert opened("one_decoding.ipynb", "open", parameters)["run"] == whole
    said = capsys.readouterr().out
    assert "left out: 1 debug run (DEBUG = True counts them)" in said
    assert f"folder    {whole}" in said and "debug run no" in said
    assert opened("one_decoding.ipynb", "open", f"{parameters}; DEBUG = True")["run"] == run
    shutil.rmtree(whole)
    with pytest.raises(UserError, match=r"the only run is a debug run below .*: make a whole one, .* or set DEBUG"):
        opened("one_decoding.ipynb", "open", parameters)


def test_the_ablation_leaves_debug_runs_out(tmp_path, capsys):
    make_run(tmp_path / "runs" / "whole", [row("cosine", 0, t) for t in (4, 8)], grids=False)
    make_run(tmp_path / "runs" / "try", [row("linear", 0, t, debug="overfit") for t in (4, 8)], grids=False)
    make_run(tmp_path / "tries" / "a", [row("linear", 0, 4, debug="tiny")], grids=False)
    names = opened("ablation.ipynb", "read", f"RUNS = {str(tmp_path / 'runs')!r}")
    assert [study.debug for study in names["every"]] == [""] and names["study"].points[0].schedule == "cosine"
    said = capsys.readouterr().out
    assert "left out: 1 debug run (DEBUG = True shows them)" in said
    assert f"shown below: study 0, no debug runs, of\n  {tmp_path / 'runs' / 'whole'}: settings not known" in said
    names = opened("ablation.ipynb", "read", f"RUNS = {str(tmp_path / 'runs')!r}; DEBUG = True; STUDY = 1")
    assert names["study"].debug == "overfit" and "study 1, debug runs (overfit), of" in capsys.readouterr().out
    with pytest.raises(UserError, match="the only run is a debug run below"):
        opened("ablation.ipynb", "read", f"RUNS = {str(tmp_path / 'tries')!r}")


@pytest.fixture(scope="session")
def ablation(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three schedules and two seeds: the tiny run's rows under other names, with other distances."""
    folder = tmp_path_factory.mktemp("ablation")
    rows = samples_in(Results(tiny_run / "results.jsonl").rows())
    for level, schedule in enumerate(("cosine", "linear", "square_root")):
        for seed in (0, 1):
            run = folder / f"{schedule}_{seed}"
            run.mkdir()
            shutil.copy(tiny_run / RECORD, run)
            config = yaml.safe_load((tiny_run / CONFIG).read_text(encoding="utf-8"))
            (run / CONFIG).write_text(yaml.safe_dump(config | {"seed": seed}), encoding="utf-8")
            for row in rows:
                told = {"schedule": schedule, "decode_schedule": schedule, "seed": seed, "model": run.name}
                far = {"fd_classifier": 10.0 + level + seed / 10 + abs(row["steps"] - 2)}
                Results(run / "results.jsonl").append(row | told | far)
    return folder


def test_the_ablation_is_read_from_a_folder(execute, ablation):
    shown = execute("ablation.ipynb", RUNS=str(ablation), DEBUG=True)
    assert shown.n_pictures == 2
    assert "study 0, debug runs (tiny), of" in shown.text and f"  {ablation / 'linear_1'}: debug=tiny" in shown.text
    assert "study 0: Debug runs (tiny): digits" in shown.text and "seeds 0, 1" in shown.text
    assert "and the paper's (by FID in Table 3): +1.00, 95 % interval +1.00 to +1.00 over 2 training seeds" in shown.text
    assert "ours:  cosine < linear < square_root" in shown.text
    best = {line.split()[0]: line.split()[1] for line in shown.text.split("best T")[1].splitlines()[1:4]}
    assert {name: steps.rstrip("*") for name, steps in best.items()} == dict.fromkeys(best, "2")


def test_the_same_ablation_is_read_from_wandb(run_through, ablation, monkeypatch):
    with serving("lab-project") as server:
        for folder in sorted(ablation.iterdir()):
            history = [
                {"_step": step} | {f"eval/{key}": value for key, value in row.items()}
                for step, row in enumerate(Results(folder / "results.jsonl").rows())
            ]
            server.runs[folder.name] = ServedRun(folder.name, "lab-project", group="sweep", history=history)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("WANDB_MODE", raising=False)
        where = {"SOURCE": "wandb", "PROJECT": "lab-project", "ENTITY": "lab", "GROUP": "sweep"}
        online = run_through("ablation.ipynb", **where, DEBUG=True)
    assert "the W&B project lab-project, group sweep" in online.text
    offline = run_through("ablation.ipynb", RUNS=str(ablation), DEBUG=True)
    (_, first), (_, second) = (shown.text.split("\nschedule ", 1) for shown in (online, offline))
    assert first == second


def test_an_ablation_of_one_run_has_no_rank_correlation(run_through, tiny_run):
    shown = run_through("ablation.ipynb", RUNS=str(tiny_run), DEBUG=True)
    assert "Kendall's tau-b needs at least 3, so none is given" in shown.text and shown.n_pictures == 2


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of torch, which a kernel hides
def test_an_autoregressive_decoding_is_walked_through(run_through, tiny_autoregressive):
    shown = run_through("one_decoding.ipynb", RUN=str(tiny_autoregressive), CLASS=7)
    assert shown.n_pictures == 2
    assert "autoregressive, 8 x 8 tokens" in shown.text and "cosine schedule" not in shown.text
    places = [line.split()[:3] for line in shown.text.split("p(code)\n")[1].splitlines()[:9]]
    assert places[0] == ["1", "0", "0"] and places[8] == ["9", "1", "0"]  # row by row
    assert "and 48 more" in shown.text


def test_an_autoregressive_run_stands_beside_the_ablation(run_through, tiny_run, tiny_autoregressive, tmp_path):
    for run in (tiny_run, tiny_autoregressive):
        (tmp_path / "runs" / run.name).mkdir(parents=True)
        for name in (CONFIG, RECORD, CODE, "results.jsonl"):
            shutil.copy(run / name, tmp_path / "runs" / run.name)
    shown = run_through("ablation.ipynb", RUNS=str(tmp_path / "runs"), DEBUG=True)
    assert shown.n_pictures == 2
    assert "beside them: autoregressive: Debug runs (tiny): digits" in shown.text
    assert "Differences are means over seed 0, which both have" in shown.text


def test_an_ablation_of_autoregressive_runs_alone_ends_with_their_table(tiny_autoregressive, capsys):
    names = opened("ablation.ipynb", "read", f"RUNS = {str(tiny_autoregressive)!r}; DEBUG = True")
    assert names["study"] is None and "shown below: autoregressive, debug runs (tiny), of" in capsys.readouterr().out
    cells = {cell.id: cell.source for cell in nbformat.read(FOLDER / "ablation.ipynb", as_version=4).cells}
    exec(cells["models"], names)
    assert "An autoregressive model takes one step for each token" in capsys.readouterr().out
    with pytest.raises(UserError, match="autoregressive models alone, which have no T"):
        exec(cells["table"], names)
    with pytest.raises(UserError, match="the only run is a debug run below"):
        opened("ablation.ipynb", "read", f"RUNS = {str(tiny_autoregressive)!r}")
