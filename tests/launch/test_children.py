"""The processes of one command: they end together, and one sentence says why."""

import multiprocessing
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from maskgit_lab.errors import Interrupted, UserError
from maskgit_lab.launch.children import Children

# What rank 1 does is its argument; the others wait. All write down their numbers.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from maskgit_lab import lifeline
lifeline.hold()
rank, what, place = os.environ["RANK"], sys.argv[1], Path(sys.argv[2])
def leave(number, _):
    (place / f"{rank}.got").open("a").write(f"{number} ")
    sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, (lambda *_: None) if what == "stubborn" else leave)
(place / f"{rank}.tmp").write_text(str(os.getpid()))
(place / f"{rank}.tmp").rename(place / f"{rank}.pid")
while len(list(place.glob("*.pid"))) < 2: time.sleep(0.01)
if rank == "1":
    if what == "killed": os.kill(os.getpid(), signal.SIGKILL)
    if what == "asked": os.kill(os.getpid(), signal.SIGTERM)
    if what == "fails": sys.exit(3)
    if what == "fine": sys.exit(0)
elif what == "killed":
    time.sleep(0.1)
    sys.exit(75)  # it notices that the other is gone, perhaps before their parent does
elif what == "fine":
    sys.exit(0)
time.sleep(60)
"""


def children(place: Path, what: str) -> Children:
    return Children([sys.executable, "-c", SCRIPT, what, str(place)], 2)


def numbers(place: Path) -> list[int]:
    begin = time.monotonic()
    while len(found := list(place.glob("*.pid"))) < 2 and time.monotonic() - begin < 30:
        time.sleep(0.02)
    return [int(path.read_text()) for path in sorted(found)]


def expect_gone(processes: list[int]) -> None:
    begin = time.monotonic()
    while any(Path(f"/proc/{each}").exists() for each in processes):
        assert time.monotonic() - begin < 10
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("what", "error", "sentence"),
    [
        (
            "killed",
            UserError,
            r"rank 1 \(of 2\) was killed by signal 9 \(SIGKILL\), perhaps for lack of memory: run",
        ),
        ("fails", UserError, r"the process of rank 1 \(of 2\) ended with exit code 3, as shown above: run the same"),
        ("asked", Interrupted, "15"),
        ("fine", None, ""),
    ],
)
def test_all_end_with_the_first_that_fails(tmp_path, what, error, sentence):
    begin = time.monotonic()
    if error is None:
        with children(tmp_path, what) as started:
            started.wait()
    else:
        with pytest.raises(error, match=sentence), children(tmp_path, what) as started:
            started.wait()
    expect_gone(numbers(tmp_path))
    assert time.monotonic() - begin < 30


def test_a_signal_reaches_each_of_them_once(tmp_path):
    def interrupt():
        numbers(tmp_path)
        raised.set()

    raised = threading.Event()
    threading.Thread(target=interrupt).start()
    with pytest.raises(Interrupted), children(tmp_path, "waits"):
        raised.wait(30)
        raise Interrupted(signal.SIGUSR1)
    assert [(tmp_path / f"{rank}.got").read_text() for rank in range(2)] == [f"{signal.SIGUSR1} "] * 2


def test_those_that_do_not_end_are_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("maskgit_lab.launch.children.PATIENCE_SECONDS", 0.2)
    with pytest.raises(KeyboardInterrupt), children(tmp_path, "stubborn") as started:
        numbers(tmp_path)
        raise KeyboardInterrupt
    assert [process.returncode for process in started.processes] == [-signal.SIGKILL] * 2


def test_they_end_with_their_parent_however_it_ends(tmp_path):
    def wait():
        with children(tmp_path, "waits") as started:
            started.wait()

    parent = multiprocessing.get_context("fork").Process(target=wait)
    parent.start()
    processes = numbers(tmp_path)
    parent.kill()
    parent.join()
    expect_gone(processes)
