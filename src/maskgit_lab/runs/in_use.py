"""Who works with a cache: a locked file in `<cache>/.in_use/` for each process, so that nothing is removed under it.

The operating system releases the lock of a process that ends, however it ends. A file that nobody has locked belonged
to a process that was killed, and whoever finds it may delete it. The gate, a lock of its own, is held for a moment by
whoever begins to work with the cache, and for as long as it takes by whoever removes something from it.
"""

from __future__ import annotations

import errno
import os
import secrets
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER, GATE = ".in_use", "gate"


def hold(cache: Path, say: Callable[[str], None]) -> FileLock:
    """A lock that keeps others from removing anything in a cache, for as long as the lock lives.

    Args:
        cache: the folder, with `.in_use/` in it.
        say: is told if the cache is being cleaned, which is waited for.
    """
    with _gate(cache, say):
        _forget_killed(cache)
        path = cache / FOLDER / f"{os.getpid()}-{secrets.token_hex(4)}"
        lock = FileLock(path, thread_local=False)
        lock.acquire()
    weakref.finalize(lock, _forget, path, os.getpid())
    return lock


@contextmanager
def kept_free(cache: Path) -> Iterator[str | None]:
    """Keeps commands from beginning to work with a cache.

    Yields:
        Why nothing may be removed in the cache, as a sentence; None where something may.
    """
    if not cache.is_dir():
        yield None
        return
    gate = FileLock(cache / FOLDER / GATE)
    try:
        (cache / FOLDER).mkdir(exist_ok=True)
        gate.acquire()
        _forget_killed(cache)
        fault = f"a command is working with the cache {cache}: wait for it" if is_in_use(cache) else None
    except OSError as error:
        fault = f"cannot write the cache folder {cache} ({error.strerror}): nothing in it can be removed"
    try:
        yield fault
    finally:
        gate.release()


def is_in_use(cache: Path) -> bool:
    """Whether a command is working with a cache."""
    return any(map(is_locked, _files(cache)))


def is_locked(path: Path) -> bool:
    """Whether a process has locked a file; one that may not be opened counts as locked, an absent one does not."""
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError as error:
        return error.errno != errno.EROFS  # nobody works on a disk that cannot be written


@contextmanager
def _gate(cache: Path, say: Callable[[str], None]) -> Iterator[None]:
    gate = FileLock(cache / FOLDER / GATE)
    try:
        gate.acquire(timeout=1)  # others that begin at the same moment hold it too
    except Timeout:
        say(f"{cache} is being cleaned; waiting")
        gate.acquire()
    try:
        yield
    finally:
        gate.release()


def _forget_killed(cache: Path) -> None:
    """Deletes the files of processes that were killed; for whoever holds the gate."""
    for path in _files(cache):
        if not is_locked(path):
            _forget(path, os.getpid())


def _forget(path: Path, process: int) -> None:
    if os.getpid() == process:  # and not a fork of it
        with suppress(OSError):
            path.unlink()


def _files(cache: Path) -> list[Path]:
    folder = cache / FOLDER
    return [path for path in folder.iterdir() if path.name != GATE] if folder.is_dir() else []
