"""What a process does when another one of the same command has ended."""

import mmap
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import distributed

from maskgit_lab import ranks
from maskgit_lab.errors import UserError
from maskgit_lab.launch.processes import OTHER_ENDED, in_processes
from maskgit_lab.lit import processes
from maskgit_lab.settings import Hardware
from two_processes import in_two_ranks

COMMAND = ("train", ["seed=1"])
OTHER = """
import os, sys, time, torch
from torch import distributed
distributed.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=1, world_size=2)
distributed.broadcast_object_list([os.getpid()], src=1)
distributed.barrier()
time.sleep(0.3)  # so that nothing is left unread
if sys.argv[2] == "ends": os._exit(0)
time.sleep(600)
"""


def fails(message):
    def work(prepared):
        raise RuntimeError(message)

    return work


GONE = "[pair.cc:538] Connection closed by peer [127.0.0.1]:1234"


def test_one_process_says_it_in_a_sentence():
    with pytest.raises(UserError, match="another process of this command has ended"):
        in_processes(Hardware(), COMMAND, lambda: None, fails(GONE))


@pytest.mark.parametrize(
    ("message", "name", "value", "code"),
    [
        (GONE, "maskgit_lab.lit.processes.may_speak", lambda: False, processes.EXIT_OTHER_ENDED),
        (GONE, "maskgit_lab.lifeline._started_by_us", True, processes.EXIT_OTHER_ENDED),
        ("shapes do not match", "maskgit_lab.lit.processes.may_speak", lambda: False, 2),
    ],
)
def test_the_others_are_silent(message, name, value, code, monkeypatch):
    monkeypatch.setattr(name, value)
    with pytest.raises(SystemExit) as stop:
        in_processes(Hardware(), COMMAND, lambda: None, fails(message))
    assert stop.value.code == code


@pytest.mark.parametrize("ranks_that_fail", [[0], [1], [0, 1]])
def test_of_several_processes_one_speaks(tmp_path, ranks_that_fail):
    """Each error is one of the user's, in one process or in all."""

    def work(_):
        if ranks.rank() in ranks_that_fail:
            raise UserError("it is wrong")
        ranks.barrier()
        distributed.barrier()

    def run():
        try:
            in_processes(Hardware(devices=2, accelerator="cpu"), COMMAND, lambda: None, work)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            sys.exit(2)

    said = in_two_ranks(tmp_path, run)
    assert said.code != 0 and said.err.count("error: ") == 1 and "it is wrong" in said.err


def test_an_error_of_its_own_is_not_hidden():
    with pytest.raises(RuntimeError, match="shapes"):
        in_processes(Hardware(), COMMAND, lambda: None, fails("shapes do not match"))


def test_what_was_prepared_is_worked_on():
    seen = []
    in_processes(Hardware(), COMMAND, lambda: 7, seen.append)
    assert seen == [7]


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Two processes that connect with this one, one after the other; they start at once, since torch takes a while."""
    places = {how: tmp_path_factory.mktemp(how) / "store" for how in ("ends", "sleeps")}
    started = {how: subprocess.Popen([sys.executable, "-c", OTHER, place, how]) for how, place in places.items()}
    yield places
    for process in started.values():
        process.kill()
        process.wait()


@pytest.fixture
def connected(others, request):
    """This process as the first of two; gives the number of the second."""
    store = f"file://{others[request.param]}"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=2, timeout=timedelta(minutes=2))
    number = [0]
    distributed.broadcast_object_list(number, src=1)
    distributed.barrier()
    yield number[0]
    distributed.destroy_process_group()


def expect_a_sentence(work) -> RuntimeError:
    with pytest.raises(UserError, match="another process of this command has ended") as caught:
        in_processes(Hardware(), COMMAND, lambda: None, lambda _: work())
    assert isinstance(caught.value.__cause__, RuntimeError)
    return caught.value.__cause__


@pytest.mark.parametrize("connected", ["ends"], indirect=True)
def test_gloo_words_it_so_where_the_other_has_ended(connected):
    error = expect_a_sentence(lambda: distributed.recv(torch.zeros(1), src=1))
    assert "closed by peer" in str(error)
    expect_a_sentence(distributed.barrier)  # the same at every later attempt


@pytest.mark.parametrize("connected", ["sleeps"], indirect=True)
def test_gloo_words_it_so_where_the_other_is_killed_while_it_is_sent_to(connected):
    os.kill(connected, signal.SIGSTOP)  # what is sent to it stays unread
    threading.Timer(0.5, os.kill, (connected, signal.SIGKILL)).start()
    error = expect_a_sentence(lambda: [distributed.send(torch.zeros(10_000_000), 1) for _ in range(20)])
    assert "reset by peer" in str(error)


@pytest.mark.parametrize("words", OTHER_ENDED.pattern.split("|"))
def test_torch_has_these_words(words):
    library = next((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"))
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        assert content.find(words.encode()) >= 0 or content.find(words.capitalize().encode()) >= 0
