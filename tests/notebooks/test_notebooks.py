"""The notebooks run from top to bottom on a finished run, and are stored without outputs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from maskgit_lab.errors import UserError
from maskgit_lab.runs.results import Results
from wandb_server import ServedRun, serving

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
STORED = sorted(FOLDER.glob("*.ipynb"))
Execute = Callable[..., "Shown"]


class Shown:
    """What an executed notebook shows."""

    def __init__(self, notebook: NotebookNode) -> None:
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        self.text = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
        self.warnings = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stderr")
        self.n_pictures = sum("image/png" in o.get("data", {}) for o in outputs)


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Executes a notebook with other parameters; nothing is written beside it or in the home folder."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(name: str, **parameters: object) -> Shown:
        notebook = nbformat.read(FOLDER / name, as_version=4)
        (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
        assert all(f"\n{key}" in f"\n{cell.source}" or f", {key}" in cell.source for key in parameters)
        cell.source += "".join(f"\n{key} = {value!r}" for key, value in parameters.items())
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
        return Shown(notebook)

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
    assert shown.warnings == ""
    assert shown.n_pictures == 5
    assert "cosine schedule" in shown.text and "class 7 is '7'" in shown.text
    table = shown.text.split("mean p(code)\n")[1]
    assert [line.split()[0] for line in table.splitlines()] == ["1", "2", "3"]
    assert table.splitlines()[-1].split()[3] == "1"  # one is masked again after the last step too


def test_without_a_run_the_command_that_makes_one_is_told(tmp_path):
    cells = {cell.id: cell.source for cell in nbformat.read(FOLDER / "one_decoding.ipynb", as_version=4).cells}
    names = {}
    for part in (cells["parameters"], f"OUTPUTS = {str(tmp_path)!r}", cells["imports"]):
        exec(part, names)
    with pytest.raises(UserError, match=r"python train\.py schedule=cosine"):
        exec(cells["open"], names)


@pytest.fixture(scope="session")
def ablation(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three schedules and two seeds: the tiny run's rows under other names, with other distances."""
    folder = tmp_path_factory.mktemp("ablation")
    rows = Results(tiny_run / "results.jsonl").rows()
    for level, schedule in enumerate(("cosine", "linear", "square_root")):
        for seed in (0, 1):
            run = folder / f"{schedule}_{seed}"
            run.mkdir()
            shutil.copy(tiny_run / "config.yaml", run)
            for row in rows:
                told = {"schedule": schedule, "decode_schedule": schedule, "seed": seed, "model": run.name}
                far = {"fd_classifier": 10.0 + level + seed / 10 + abs(row["steps"] - 2)}
                Results(run / "results.jsonl").append(row | told | far)
    return folder


def test_the_ablation_is_read_from_a_folder(execute, ablation):
    shown = execute("ablation.ipynb", RUNS=str(ablation))
    assert shown.warnings == ""
    assert shown.n_pictures == 2
    assert "study 0: Debug runs (tiny): digits" in shown.text and "seeds [0, 1]" in shown.text
    assert "the order by the distance at the best T: tau 1.00 (95 % interval 1.00 to 1.00)" in shown.text
    assert "ours:  cosine < linear < square_root" in shown.text
    best = {line.split()[0]: line.split()[1] for line in shown.text.split("best T")[1].splitlines()[1:4]}
    assert {name: steps.rstrip("*") for name, steps in best.items()} == dict.fromkeys(best, "2")


def test_the_same_ablation_is_read_from_wandb(execute, ablation, monkeypatch):
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
        online = execute("ablation.ipynb", SOURCE="wandb", PROJECT="lab-project", ENTITY="lab", GROUP="sweep")
    assert online.warnings == ""
    assert online.text == execute("ablation.ipynb", RUNS=str(ablation)).text


def test_an_ablation_of_one_run_has_no_rank_correlation(execute, tiny_run):
    shown = execute("ablation.ipynb", RUNS=str(tiny_run))
    assert "at least three of the paper's schedules" in shown.text and shown.n_pictures == 2
