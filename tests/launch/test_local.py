"""The jobs of a sweep on this machine, each in a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from maskgit_lab.errors import Interrupted, UserError
from maskgit_lab.launch.local import LocalJobs, _ended_with_this_process, share_machine

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
what, place = sys.argv[1].split("=")[1], Path(__file__).parent
(place / f"{what}.began").write_text(f"{time.time()} {os.environ.get('OMP_NUM_THREADS')} {os.environ.get('SLOT')}")
if what == "refused": sys.exit("error: the disk is full: empty it")
if what == "crash": raise RuntimeError("out of everything")
if what == "killed": os.kill(os.getpid(), signal.SIGKILL)
if what == "silent": sys.exit(7)
if what == "once":
    (place / "again").touch() if not (place / "again").exists() else sys.exit(7)
    sys.exit("error: only the first time")
time.sleep(30 if what == "long" else 0.2)
(place / f"{what}.ended").write_text(str(time.time()))
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A module that does what its argument says."""
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    return ["script"]


def test_a_failure_is_one_line_and_stops_no_other(command, tmp_path):
    jobs = [[f"what={what}"] for what in ("refused", "crash", "killed", "silent", "fine")]
    reasons = LocalJobs(command, [{}, {}], tmp_path / "logs").run(jobs)
    assert reasons == [
        "the disk is full: empty it",
        "RuntimeError: out of everything",
        "killed by signal 9 (SIGKILL), perhaps for lack of memory",
        "exit code 7",
        None,
    ]
    assert (tmp_path / "fine.ended").exists() and len(list((tmp_path / "logs").iterdir())) == 5


def test_the_log_of_an_earlier_attempt_is_kept_and_not_blamed(command, tmp_path):
    jobs = LocalJobs(command, [{}], tmp_path / "logs")
    assert jobs.run([["what=once"]]) == ["only the first time"]
    assert jobs.run([["what=once"]]) == ["exit code 7"]
    log = next((tmp_path / "logs").iterdir()).read_text()
    assert log.startswith("error: only the first time\n") and log.rstrip().endswith("again: what=once")


def test_jobs_get_the_signal_of_the_sweep(command, tmp_path):
    jobs = LocalJobs(command, [{}], tmp_path)
    running = []
    with pytest.raises(Interrupted), _ended_with_this_process(running):
        running.append(jobs._start(0, ["what=long"], {}, 1))
        while not (tmp_path / "long.began").exists():
            time.sleep(0.02)
        raise Interrupted(signal.SIGUSR1)
    assert running[0].process.exitcode == -signal.SIGUSR1 and not (tmp_path / "long.ended").exists()


def test_so_many_run_at_once_each_with_its_own_environment(command, tmp_path):
    LocalJobs(command, [{"SLOT": "a"}, {"SLOT": "b"}], tmp_path / "logs").run([[f"what={i}"] for i in range(4)])
    began = {i: (tmp_path / f"{i}.began").read_text().split() for i in range(4)}
    ended = [float((tmp_path / f"{i}.ended").read_text()) for i in range(4)]
    for i in (2, 3):  # a job of the second pair waits for one of the first
        assert float(began[i][0]) > min(ended[:2])
    assert float(began[1][0]) < ended[0]
    assert sorted(began[i][2] for i in (0, 1)) == ["a", "b"]


def test_a_sweep_that_is_told_to_end_ends_its_jobs(command, tmp_path):
    code = "import sys; from pathlib import Path; from maskgit_lab.launch.local import LocalJobs\n"
    code += "LocalJobs(sys.argv[1:], [{}], Path('logs')).run([['what=long']])"  # -c: with this folder on the path
    sweep = subprocess.Popen([sys.executable, "-c", code, *command], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "long.began").exists() or not (tmp_path / "long.began").read_text():
        time.sleep(0.05)
    sweep.send_signal(signal.SIGTERM)
    assert sweep.wait(10) != 0
    assert not (tmp_path / "long.ended").exists()


def test_the_machine_is_shared(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert share_machine(1, None, None, 1, "auto") == [{}]
    assert share_machine(2, None, None, 1, "auto") == [{"OMP_NUM_THREADS": "4"}] * 2
    assert share_machine(2, None, None, 2, "cpu") == [{"OMP_NUM_THREADS": "2"}] * 2
    assert share_machine(1, 3, None, 1, "auto") == [{"OMP_NUM_THREADS": "3"}]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    gpus = [slot["CUDA_VISIBLE_DEVICES"] for slot in share_machine(2, None, None, 2, "auto")]
    assert gpus == ["0,1", "2,3"]
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in share_machine(6, 1, 1, 1, "gpu")] == list("012301")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7,1,2")
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in share_machine(2, 1, None, 1, "gpu")] == ["5", "7"]
    assert all("CUDA_VISIBLE_DEVICES" not in slot for slot in share_machine(2, 1, None, 1, "cpu"))
    with pytest.raises(UserError, match="a job asks for 8 GPUs and there are 4"):
        share_machine(1, None, 8, 1, "auto")
