"""Leases: one holder at a time, whether file locks are those of all machines, of one, or missing."""

import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.runs import lease as module
from maskgit_lab.runs.holder import Holder, start_of
from maskgit_lab.runs.lease import Lease, is_held, leased
from maskgit_lab.runs.store import Store

INGREDIENTS = {"data": "abc"}
FORK = multiprocessing.get_context("fork")


def missing(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")


def of_another_machine(*_):
    """A lock that nobody else sees."""


@pytest.fixture(params=["working", "node-local", "missing"])
def flock(request, monkeypatch):
    """What locks of files are here."""
    if request.param != "working":
        monkeypatch.setattr(fcntl, "flock", {"node-local": of_another_machine, "missing": missing}[request.param])
    return request.param


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    for name, value in (("BEAT", 0.02), ("SILENCE", 1.0), ("SETTLE", 0.1), ("LONGEST_PAUSE", 0.05)):
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".lock"


def refuse(holder):
    raise BlockingIOError(str(holder))


def write(path, holder, age=0.0, text=None):
    """A lease as some process left it."""
    path.write_text(json.dumps(asdict(holder)) if text is None else text)
    os.utime(path, (time.time() - age,) * 2)


def elsewhere(**changes):
    return replace(Holder.own(), host="node7", space="another boot", **changes)


def of_a_killed_process():
    """Who would hold a lease that a killed process of this machine left."""
    process = FORK.Process(target=time.sleep, args=(60,), daemon=True)
    process.start()
    holder = replace(Holder.own(), pid=process.pid, start=start_of(process.pid))
    process.kill()
    process.join()
    return holder


def test_one_at_a_time_in_threads_and_processes(path, flock):
    with leased(path, refuse):
        assert is_held(path)
        with pytest.raises(BlockingIOError, match=rf"process {os.getpid()} on .*, since 20"), leased(path, refuse):
            raise AssertionError
        went = FORK.Process(target=lambda: os._exit(3 if is_held(path) else 0))
        went.start()
        went.join()
        assert went.exitcode == 3
    assert not path.exists() and not is_held(path)
    with leased(path, refuse):
        pass


def test_what_waits_is_next_and_hears_for_whom_it_waits(path, flock):
    seen, order, first = [], [], Lease(path)
    first.acquire(refuse)

    def wait():
        with leased(path, seen.append):
            order.append("second")

    thread = threading.Thread(target=wait)
    thread.start()
    while not seen:
        time.sleep(0.01)
    time.sleep(1.2)  # longer than a silence that would end the first
    order.append("first")
    first.release()
    thread.join(10)
    assert order == ["first", "second"] and [each.pid for each in seen] == [os.getpid()]


@pytest.mark.parametrize(
    ("holder", "age", "text"),
    [
        (of_a_killed_process, 0.0, None),
        (lambda: replace(Holder.own(), start="1"), 0.0, None),  # its number is another's now
        (elsewhere, 60.0, None),
        (elsewhere, -9e9, None),  # by a clock that is years ahead
        (elsewhere, 60.0, ""),  # of an earlier version
        (elsewhere, 60.0, "[" * 100_000),
        (elsewhere, 60.0, '{"token": 3}'),
    ],
)
def test_what_a_kill_leaves_is_taken_over(path, flock, holder, age, text):
    write(path, holder(), age, text)
    assert age < 0 or not is_held(path)
    heard = []
    with leased(path, heard.append):
        assert module.holder_of(path).pid == os.getpid() and is_held(path)
    assert not path.exists() and (age < 0 or not heard)


@pytest.mark.parametrize("holder", [elsewhere, Holder.own])
def test_what_is_alive_is_not_taken_over(path, flock, holder):
    write(path, holder())
    with pytest.raises(BlockingIOError), leased(path, refuse):
        raise AssertionError


def test_the_copy_of_a_folder_in_use_is_free_once_nobody_renews_it(path, flock):
    with leased(path, refuse):
        copy = Path(shutil.copy(path, path.with_name("copy")))
        assert is_held(copy)  # as when the same file has another number on another mount
        os.utime(copy, (time.time() - 60,) * 2)
        with leased(copy, refuse):
            assert is_held(copy) and is_held(path)
    write(path, replace(of_a_killed_process(), inode=1))
    with leased(path, refuse):
        pass


def test_what_runs_here_without_a_sign_of_life_is_named(path, flock):
    write(path, Holder.own(), 60.0)
    with pytest.raises(UserError, match=r"held by process \d+ on .* has not responded .*: end that process"):
        Lease(path).acquire(lambda _: None)


def test_of_two_that_take_a_lease_over_one_has_it(path, flock):
    write(path, elsewhere(), 60.0)
    held, most = [], []

    def take():
        with leased(path, lambda _: None):
            held.append(1)
            most.append(len(held))
            time.sleep(0.05)
            held.pop()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 4


def test_who_loses_a_take_over_waits_for_the_winner(path, flock, monkeypatch):
    write(path, elsewhere(), 60.0)
    winner = replace(elsewhere(), host="node8")
    monkeypatch.setattr(Lease, "_take_over", lambda *_: write(path, winner))
    monkeypatch.setattr(module, "BEAT", 0.0)  # it has waited for long
    with pytest.raises(BlockingIOError, match="on node8"), leased(path, refuse):
        raise AssertionError


def test_who_was_taken_over_ends_and_deletes_nothing(path, flock, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(module, "_leave", lambda *_: ended.set())
    with leased(path, refuse):
        write(path, elsewhere())
        assert ended.wait(10)
    assert module.holder_of(path).host == "node7"


def test_a_full_disk_leaves_no_lease(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"), leased(path, refuse):
        raise AssertionError
    assert not path.exists()


def write_weights(folder):
    (folder / "weights.bin").write_bytes(b"weights")
    return {}


def test_an_entry_that_another_process_finished_is_used(tmp_path):
    """As on a file system where two processes had the lease, whatever the reason."""
    store = Store(tmp_path / "cache", print)
    ready = Store(tmp_path / "elsewhere", print).obtain("kind", INGREDIENTS, write_weights).path

    def overtaken(folder):
        shutil.copytree(ready, store.path("kind", INGREDIENTS))
        return write_weights(folder)

    entry = store.obtain("kind", INGREDIENTS, overtaken)
    assert entry.reused and [file.name for file in entry.path.parent.iterdir()] == [entry.path.name]


def make_slowly(root, said, count):
    def make(folder):
        with count.get_lock():
            count.value += 1
        time.sleep(0.2)
        return write_weights(folder)

    Store(Path(root), said.put).obtain("kind", INGREDIENTS, make)


def test_two_processes_make_one_entry(tmp_path, flock):
    said, count = FORK.Queue(), FORK.Value("i", 0)
    both = [FORK.Process(target=make_slowly, args=(tmp_path, said, count)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(20)
    assert [process.exitcode for process in both] == [0, 0] and count.value == 1
    assert "another run is making it (process" in said.get()
