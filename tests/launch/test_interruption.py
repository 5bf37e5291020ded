"""Signals that end a command, what it says then, and what it asks of SLURM."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maskgit_lab import lifeline
from maskgit_lab.errors import Interrupted
from maskgit_lab.launch import interruption

JOB = {"SLURM_JOB_ID": "1234", "SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train"}
GO_ON = "the same command continues from what was saved"


@pytest.fixture(autouse=True)
def _heeds_ctrl_c():
    """Also where the tests run in the background of a shell, which has its processes ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A stand-in that keeps its arguments and ends as it is asked to."""

    def install(code: int = 0) -> Path:
        script, asked = tmp_path / "scontrol", tmp_path / "asked"
        asked.touch()
        script.write_text(f'#!/bin/sh\necho "$@" >> {asked}\necho "slurm_update error: disabled" >&2\nexit {code}\n')
        script.chmod(0o755)
        return asked

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return install


@pytest.mark.parametrize("number", interruption.ENDS)
def test_a_signal_interrupts_once(number):
    cleaned = False
    with pytest.raises(Interrupted) as caught, interruption.raised():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGTERM)  # from a terminal, a scheduler and a parent at the same time
            cleaned = True
    assert caught.value.signal == number and cleaned


def test_a_second_ctrl_c_does_not_wait_for_what_is_cleaned_up(monkeypatch):
    monkeypatch.setattr(interruption, "AGAIN_SECONDS", 0)
    with pytest.raises(Interrupted) as caught, interruption.raised():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
    assert caught.value.signal == signal.SIGINT


def test_a_signal_that_arrives_in_a_destructor_is_not_lost(capsys):
    class Closing:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught, interruption.raised():
        Closing()
        time.sleep(10)
    assert caught.value.signal == signal.SIGTERM and capsys.readouterr().err == ""


def test_handlers_of_others_stay():
    seen = []
    before = signal.signal(signal.SIGUSR2, lambda *_: seen.append("theirs"))
    try:
        with interruption.raised():
            signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == ["theirs"] and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_forked_process_is_not_interrupted():
    with interruption.raised():
        if (child := os.fork()) == 0:
            try:
                signal.raise_signal(signal.SIGUSR1)
            except BaseException:
                os._exit(1)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("number", "environment", "code", "asked", "lines"),
    [
        (signal.SIGINT, {}, 0, "", [f"interrupted: {GO_ON}"]),
        (signal.SIGTERM, {}, 0, "", [f"interrupted by SIGTERM: {GO_ON}"]),
        (signal.SIGUSR1, {}, 0, "", [f"interrupted by SIGUSR1: {GO_ON}"]),
        (signal.SIGTERM, JOB, 0, "", [f"interrupted by SIGTERM: {GO_ON}"]),
        (
            signal.SIGUSR1,
            JOB,
            0,
            "requeue 1234\n",
            ["interrupted by SIGUSR1: job 1234 is queued again, and continues from what was saved"],
        ),
        (
            signal.SIGUSR2,
            JOB,
            1,
            "requeue 1234\n",
            [
                "interrupted by SIGUSR2: job 1234 is queued again, and continues from what was saved",
                "scontrol requeue 1234 failed (slurm_update error: disabled): submit the job again, which continues "
                "from what was saved",
            ],
        ),
        (signal.SIGUSR1, JOB | {"SLURM_JOB_NAME": "bash"}, 0, "", [f"interrupted by SIGUSR1: {GO_ON}"]),
        (signal.SIGUSR1, {"SLURM_JOB_ID": "1"}, 0, "", [f"interrupted by SIGUSR1: {GO_ON}"]),
        (signal.SIGUSR1, JOB | {"SUBMITIT_EXECUTOR": "slurm"}, 0, "", [f"interrupted by SIGUSR1: {GO_ON}"]),
    ],
)
def test_it_is_said_and_slurm_is_asked(number, environment, code, asked, lines, scontrol, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    calls = scontrol(code)
    stop = Interrupted(number)
    stop.__cause__ = SystemExit(1)  # as Lightning ends a training
    assert interruption.conclude(stop, GO_ON) == 128 + number
    assert calls.read_text() == asked
    assert capsys.readouterr().err.splitlines() == lines


def test_a_job_of_a_sweep_leaves_that_to_the_sweep(scontrol, monkeypatch, capsys):
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lifeline, "_started_by_us", True)
    calls = scontrol()
    assert interruption.conclude(KeyboardInterrupt(), GO_ON) == 130
    interruption.conclude(Interrupted(signal.SIGUSR1), GO_ON)
    assert calls.read_text() == ""
    assert capsys.readouterr().err.splitlines()[0] == f"interrupted: {GO_ON}"


def test_a_sweep_that_is_interrupted_has_words_of_its_own(capsys):
    stop = KeyboardInterrupt()
    stop.__cause__ = Interrupted(signal.SIGTERM)
    assert interruption.conclude(stop, "jobs that were finished stay finished") == 143
    assert capsys.readouterr().err == "interrupted by SIGTERM: jobs that were finished stay finished\n"


def test_without_scontrol_that_is_said(monkeypatch, capsys):
    for name, value in {**JOB, "PATH": ""}.items():
        monkeypatch.setenv(name, value)
    interruption.conclude(Interrupted(signal.SIGUSR1), GO_ON)
    assert "scontrol requeue 1234 failed ([Errno 2]" in capsys.readouterr().err


def test_a_command_that_is_finished_does_not_fail_any_more():
    script = (
        "import os, sys\n"
        "from maskgit_lab.launch import cli\n"
        "class Late:\n"
        "    def __del__(self):\n"  # when the interpreter puts away what there is
        f"        for number in {[int(each) for each in interruption.ENDS]}: os.kill(os.getpid(), number)\n"
        "        print('alive', flush=True)\n"
        "late = Late()\n"
        "sys.argv = ['train.py', '--version']\n"
        "cli.main('train')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "alive" in done.stdout, done.stderr
