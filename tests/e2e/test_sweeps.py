"""Sweeps as a user starts them: two at once on an empty cache, one of them killed and started again, and DDP."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ("debug=tiny", "max_images=200", "eval.metrics=[fid]", "logger=none", "trainer=cpu", "trainer.threads=1")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    pytest.fail(f"{text!r} was not said:\n{said}")


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory):
    """A sweep by a scheduler, which mostly waits."""
    folder = tmp_path_factory.mktemp("scheduled")
    (folder / "taken").touch()
    process = start(folder, "-m", "run_dir=taken", *TINY, "hydra/launcher=submitit_local")
    yield process
    process.kill()


@pytest.fixture(scope="module")
def sweeps(scheduled, tmp_path_factory):
    """What two sweeps said that began at once; the second was killed, and goes on with two processes for each job."""
    folder = tmp_path_factory.mktemp("sweeps")
    first = start(folder, "-m", "seed=0", *TINY)
    second = start(folder, "sweeps=mask_schedule", "schedule=linear", "seed=0", *TINY, "hydra.sweep.dir=outputs/second")
    read_until(second, "1 of 1")
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()
    more = ("schedule=linear", "seed=0", *TINY, "trainer.devices=2", "hydra.sweep.dir=outputs/second")
    again = start(folder, "sweeps=mask_schedule", *more)
    outputs = [process.communicate(timeout=240)[0] for process in (first, again)]
    assert [first.returncode, again.returncode] == [0, 0], outputs
    return folder, outputs


def test_both_finish_and_share_one_tokenizer(sweeps):
    folder, _ = sweeps
    logs = [log.read_text() for log in folder.glob("outputs/*/*.log")]
    for stage in ("tokenizer  training a VQGAN", "tokens     encoding", "classifier training"):
        assert sum(stage in log for log in logs) == 1, stage
    runs = [record.parent for record in folder.glob("outputs/digits/*/run.json")]
    assert len(runs) == 2 and all(len((run / "results.jsonl").read_text().splitlines()) == 4 for run in runs)


def test_a_job_that_a_scheduler_runs_says_why_it_failed(scheduled):
    process = scheduled
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 2 and "failed     run_dir taken is a file: choose a folder" in said
    assert said.splitlines()[-1].startswith("error: the job failed") and "Traceback" not in said
