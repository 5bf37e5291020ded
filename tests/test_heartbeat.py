"""How processes wait for each other, and notice one that is dead or stopped."""

import threading
from datetime import timedelta

import pytest
from torch._C._distributed_c10d import TCPStore

from maskgit_lab import heartbeat, ranks
from maskgit_lab.heartbeat import Heartbeat


@pytest.fixture
def store():
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=20))


@pytest.fixture
def quick(monkeypatch):
    """Beats of a hundredth of a second."""
    for name, value in {"EVERY": 0.01, "PATIENCE": 20, "GRACE": 0.0}.items():
        monkeypatch.setattr(heartbeat, name, value)


def beating(store, rank, faults, event):
    def end(fault):
        faults.append(fault)
        event.set()

    return Heartbeat(store, rank, 2, end)


@pytest.mark.parametrize(("stopped", "noticing"), [(0, 1), (1, 0)])
def test_a_process_that_does_not_answer_is_named(store, quick, stopped, noticing):
    faults, noticed = [], threading.Event()
    both = [beating(store, rank, faults, noticed) for rank in range(2)]
    for beat in both:
        beat.start()
    assert not noticed.wait(0.5)  # both answer, however long that takes
    both[stopped].stop()
    assert noticed.wait(10)
    both[noticing].stop()
    assert faults[0] == f"the process of rank {stopped} has not answered for 0 minutes"


def test_the_end_of_the_main_process_and_its_store_is_noticed(quick):
    faults, noticed = [], threading.Event()
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    client = TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False)
    main = beating(server, 0, [], threading.Event())
    other = beating(client, 1, faults, noticed)
    other.start()
    del main, server
    assert noticed.wait(10)
    other.stop()
    assert faults[0] == "the connection to the main process of this command is lost"


def test_a_meeting_begins_when_all_are_there(store):
    order = []

    def late():
        order.append("late")
        ranks.meet(store, "here", 2)

    thread = threading.Timer(0.2, late)
    thread.start()
    assert ranks.meet(store, "here", 2) == 2
    assert order == ["late"]
    thread.join()


def test_a_meeting_that_some_do_not_reach_ends(store):
    assert ranks.meet(store, "there", 3, seconds=0.05) == 1
