"""The entry points as a user starts them: processes of their own, W&B included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WANDB = Path(sys.executable).with_name("wandb")


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script, *overrides = arguments
    # Without an account: no key in the environment, and a home with no file that holds one.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    clean |= {"HOME": str(folder), "OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, str(ROOT / script), *overrides]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def first(folder):
    # All images: losses are logged every ten steps.
    small = ["max_images=null", "eval.metrics=[fid,inception_score]", "eval.n_samples=60"]
    return start(folder, "train.py", "debug=tiny", *small, "run_dir=run")


def records(folder: Path) -> list[dict]:
    (run,) = (folder / "run" / "wandb").glob("offline-run-*/*.wandb")
    said = subprocess.run([WANDB, "leet", "inspect", "--json", run], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in said.stdout.splitlines() if line.strip()]


def test_a_run_says_its_stages_and_nothing_that_a_user_can_do_nothing_about(first):
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert "arning" not in first.stdout and "\r" not in first.stdout
    for stage in ("tokenizer", "tokens", "mvtm", "classifier", "rebuilding", "reference", "evaluation", "pictures"):
        assert any(line.startswith(f"{stage} ") for line in first.stdout.splitlines()), stage
    assert first.stdout.count("done in") == 8
    assert "Quality over the number of decoding steps T" in first.stdout
    assert all(
        f"run/pictures/{name}.png" in first.stdout for name in ("samples", "filling", "curve", "reconstructions")
    )


def test_without_an_account_wandb_is_offline_and_says_how_to_upload(first, folder):
    (line,) = [line for line in first.stdout.splitlines() if line.startswith("wandb ")]
    assert "offline (no account" in line and line.endswith("`wandb sync run/wandb/offline-run-*`")
    assert len(list((folder / "run" / "wandb").glob("offline-run-*"))) == 1


def test_wandb_has_losses_the_curve_over_t_and_the_pictures(first, folder):
    found = records(folder)
    metrics = [r["metric"] for r in found if r["type"] == "metric"]
    assert any(m.get("glob_name") == "eval/*" and m.get("step_metric") == "eval/steps" for m in metrics)
    rows = [r["history"]["item"] for r in found if r["type"] == "history"]
    points = {row["eval/steps"]: row for row in rows if "eval/fd_classifier" in row}
    assert set(points) == {2, 4} and not any("eval/n_samples" in row for row in rows)  # constants make no panels
    for key in ("tokenizer/pixel", "tokenizer/val_mse", "tokenizer/val_codebook_usage", "mvtm/loss", "mvtm/val_nll"):
        assert any(key in row for row in rows), key
    pictures = {key.split("/")[1].split(".")[0] for row in rows for key in row if key.startswith("pictures/")}
    assert pictures == {"reconstructions", "samples", "filling", "curve"}


def test_a_run_writes_nothing_but_its_folder_and_the_cache(first, folder):
    assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == {"run", "outputs"}
    assert [p.name for p in (folder / "outputs").iterdir()] == ["cache"]


def test_a_mistake_is_one_sentence(folder):
    said = start(folder, "train.py", "schedule=cosin")
    assert said.returncode == 2 and said.stdout == ""
    assert said.stderr.startswith("error: schedule=cosin") and len(said.stderr.splitlines()) == 1


def test_a_mistake_shows_its_traceback_to_those_who_ask(folder):
    said = start(folder, "train.py", "eval.steps=[0]", HYDRA_FULL_ERROR="1")
    assert said.returncode != 0 and "Traceback" in said.stderr and "eval.steps=[0]" in said.stderr
