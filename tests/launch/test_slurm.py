"""SLURM as its users run it, with stand-ins for sbatch, srun and scontrol in `tests/slurm`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maskgit_lab import ranks
from maskgit_lab.errors import Interrupted
from maskgit_lab.launch import interruption
from maskgit_lab.launch.processes import in_processes
from maskgit_lab.settings import Hardware
from two_processes import in_two_ranks

STAND_INS = Path(__file__).resolve().parents[1] / "slurm"
SCRIPT = """#!/bin/bash
#SBATCH --job-name=train
#SBATCH --time=00:30
#SBATCH --signal=USR1@{before}
#SBATCH --requeue
srun {python} task.py
"""
TASK = """
import sys, time
from pathlib import Path
from maskgit_lab.launch import interruption
with Path("begun").open("a") as file: file.write("x")
try:
    with interruption.raised():
        if Path("begun").read_text() == "x": time.sleep(60)
except KeyboardInterrupt as stop:
    sys.exit(interruption.conclude(stop, "train"))
print("done")
"""


def test_a_job_whose_time_runs_out_is_queued_again_and_goes_on(tmp_path):
    (tmp_path / "task.py").write_text(TASK)
    (tmp_path / "job.sh").write_text(SCRIPT.format(before=28, python=sys.executable))
    done = subprocess.run(
        [STAND_INS / "sbatch", "job.sh"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and (tmp_path / "begun").read_text() == "xx", done
    assert [line.partition(" batch")[0] for line in done.stdout.splitlines()] == ["Submitted", "Requeued", "done"]
    assert [line for line in done.stderr.splitlines() if not line.startswith("srun: ")] == [
        f"interrupted by SIGUSR1: job {done.stdout.split()[3]} is queued again, and continues from what was saved"
    ]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Two tasks of a job, one on each of two machines."""
    names = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "train", "SLURM_STEP_NUM_TASKS": "2"}
    names |= {"SLURM_JOB_NODELIST": "localhost", "SLURM_STANDIN": str(tmp_path), "SLURM_STEP_ID": "0"}
    for name, value in (names | {"PATH": f"{STAND_INS}{os.pathsep}{os.environ['PATH']}"}).items():
        monkeypatch.setenv(name, value)


HARDWARE = Hardware(devices=1, num_nodes=2, accelerator="cpu")


def test_two_machines_work_together(tmp_path, job):
    def work(_):
        assert ranks.gather(ranks.rank()) == [0, 1]
        (tmp_path / f"rank {ranks.rank()} of {ranks.world_size()}").touch()

    said = in_two_ranks(tmp_path, lambda: in_processes(HARDWARE, ("train", []), lambda: None, work), by="srun")
    assert said.code == 0, said.err
    assert {path.name for path in tmp_path.glob("rank*")} == {"rank 0 of 2", "rank 1 of 2"}


def test_of_two_tasks_one_asks_for_another_turn(tmp_path, job):
    def work(_):
        ranks.barrier()
        raise Interrupted(signal.SIGUSR1)

    def run():
        try:
            in_processes(HARDWARE, ("train", []), lambda: None, work)
        except KeyboardInterrupt as stop:
            sys.exit(interruption.conclude(stop, "train"))

    said = in_two_ranks(tmp_path, run, by="srun")
    assert said.code == 128 + signal.SIGUSR1
    assert (tmp_path / "requeued").read_text() == "7\n"
    assert said.err == "interrupted by SIGUSR1: job 7 is queued again, and continues from what was saved\n"
