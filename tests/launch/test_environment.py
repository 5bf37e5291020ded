"""Commands in environments that something else has made: variables of torchrun and SLURM that are stray or wrong."""

import os
import signal

import pytest

from maskgit_lab.lit import processes
from maskgit_lab.settings import Hardware
from refusals import expect_refused
from small_training import module, train

SALLOC = {"SLURM_JOB_ID": "5", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "interactive"}
SECOND = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture
def environment(monkeypatch):
    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize("verb", ["train", "sample", "report"])
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"LOCAL_RANK": "x"}, "LOCAL_RANK=x in the environment is not a whole number"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR is not: start the command with torchrun"),
        (SECOND | {"RANK": "2"}, "RANK=2 and WORLD_SIZE=2 in the environment contradict each other"),
        (SECOND | {"MASTER_PORT": "no"}, "MASTER_PORT=no"),
    ],
)
def test_a_wrong_variable_gets_a_sentence(verb, variables, sentence, command, environment):
    environment(variables)
    expect_refused(command(verb, "seed=0"), sentence)


def test_of_several_processes_the_first_reports_a_wrong_command_line(command, environment):
    environment(SECOND)
    done = command("train", "nosuch=1")
    assert (done.code, done.out, done.err) == (2, "", "")
    environment({"RANK": "0"})
    expect_refused(command("train", "nosuch=1"), "nosuch: there is no such setting")


@pytest.mark.parametrize(
    "variables", [SALLOC, {"SLURM_JOB_ID": "5", "SLURM_NTASKS": "4"}, {"LOCAL_RANK": "3"}, {"RANK": "1"}]
)
def test_a_training_that_was_started_alone_is_one_process(variables, environment, tmp_path):
    environment(variables)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    assert processes.is_started(Hardware()) and not processes.is_one_of_several()
    processes.connect(Hardware())
    assert train(module(epochs=1), tmp_path)
    assert {number: signal.getsignal(number) for number in before} == before
    assert not list(tmp_path.rglob("hpc_ckpt*")) and os.environ.items() >= variables.items()
