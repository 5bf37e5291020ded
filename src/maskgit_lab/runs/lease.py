"""Leases: who works on what, on file systems whose locks may be those of one machine, or missing.

A lease is a file that only one process can create. It names its holder, who renews its modification time every few
seconds, and it is deleted when the holder lets go. Whoever finds one that a killed process left behind takes it over:
at once if the process was of this machine and has ended, otherwise when it has not been renewed for two minutes. Where
`flock` works, the file is locked as well, and nobody takes over what a running process has locked.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from maskgit_lab.errors import UserError
from maskgit_lab.runs.holder import Holder

BEAT = 5.0  # seconds between two renewals
SILENCE = 120.0  # seconds without a renewal after which a holder counts as ended; above the minute that NFS caches
SETTLE = 1.0  # seconds after which a process that takes a lease over looks whether another did so too
BEGINNING = 10.0  # seconds that a process has to write its name into a file that it has created
LENGTH = 512  # bytes of a file, always the same, so that what is written over it leaves nothing of what was there
LONGEST_PAUSE = 1.0  # seconds between two looks at a lease that is waited for
TRIES = 10  # to lock a file that was just created
EXIT_LOST = 2

WAITING = Callable[[Holder], None]


@dataclass(frozen=True)
class _Found:
    """A lease file as it was read."""

    holder: Holder
    age: float  # seconds since it was renewed
    inode: int
    locked: bool = False  # by another process, with `flock`

    @classmethod
    def of(cls, file: int, folder: Path) -> _Found:
        """What an open file says; it is locked from then on if nobody else has done so."""
        return cls(_read(file), _age(file, folder), os.fstat(file).st_ino, not _lock(file))

    @property
    def is_free(self) -> bool:
        """Whether it was left behind, or copied with a folder that was in use."""
        is_copy = self.holder.inode not in (0, self.inode)
        if self.holder.is_here and not (self.holder.runs and is_copy):
            return not self.holder.runs
        return not self.locked and self.age > (SILENCE if self.holder.token else BEGINNING)


class Lease:
    """The right to work on something, once it is acquired; it ends with this object, or with its process.

    Args:
        path: of the file, in a folder that exists; several processes on several machines may name it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end: weakref.finalize[[Path, int, Holder, threading.Event], Lease] | None = None

    def acquire(self, waiting: WAITING, patience: float = 0.0) -> None:
        """Waits until the lease is this process's.

        Args:
            waiting: is called with each holder that this process is about to wait for; it may raise.
            patience: seconds before it is called.

        Raises:
            UserError: the holder still runs and has stopped renewing its lease.
            OSError: the file cannot be written.
        """
        began, pause, announced = time.monotonic(), 0.02, None
        while (found := self._try()) is not None:
            waited = time.monotonic() - began
            if waited >= patience and found.holder != announced:
                waiting(found.holder)
                announced = found.holder
            if found.holder.token and found.age > SILENCE and waited > 2 * BEAT:  # it may have been asleep with us
                raise UserError(
                    f"{self.path} is held by {found.holder}, which is still running but has not responded for "
                    f"{found.age / 60:.0f} minutes: end that process, and run the same command again"
                )
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def release(self) -> None:
        """Lets go; nothing happens without the lease."""
        if self._end is not None:
            self._end()

    def _try(self) -> _Found | None:
        """Takes the lease if nobody has it, or else says who has."""
        if (file := _created(self.path)) is not None:
            own = _own(file)
            try:
                _write(file, own)
            except OSError:  # such as of a full disk
                self.path.unlink(missing_ok=True)
                os.close(file)
                raise
        else:
            try:
                file = os.open(self.path, os.O_RDWR)
            except FileNotFoundError:  # it was let go in between
                return self._try()
            found, own = _Found.of(file, self.path.parent), _own(file)
            if not (found.is_free and _is_at(file, self.path) and self._take_over(file, own)):
                os.close(file)
                return self._try() if found.is_free else found  # if another process was faster, that one has it now
        self._keep(file, own)
        return None

    def _take_over(self, file: int, own: Holder) -> bool:
        """Of several processes that take a lease over, the last to write has it: also where `flock` is no help."""
        _write(file, own)
        time.sleep(SETTLE)
        return holder_of(self.path) == own

    def _keep(self, file: int, own: Holder) -> None:
        stopped = threading.Event()
        threading.Thread(target=_renew, args=(self.path, own, stopped), daemon=True).start()
        self._end = weakref.finalize(self, _let_go, self.path, file, own, stopped)


@contextmanager
def leased(path: Path, waiting: WAITING, patience: float = 0.0) -> Iterator[None]:
    """Holds a lease; see `Lease.acquire`."""
    lease = Lease(path)
    lease.acquire(waiting, patience)
    try:
        yield
    finally:
        lease.release()


def is_held(path: Path) -> bool:
    """Whether a process has a lease; of a file that may not be opened this is assumed, an absent one nobody has."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError as error:
        return error.errno != errno.EROFS  # nobody works on a disk that cannot be written
    try:
        return not _Found.of(file, path.parent).is_free
    finally:
        os.close(file)


def holder_of(path: Path) -> Holder:
    """Who wrote a lease, if that can be read; opened anew, as NFS wants it for what others have written."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return Holder()
    try:
        return _read(file)
    finally:
        os.close(file)


def _renew(path: Path, own: Holder, stopped: threading.Event) -> None:
    """What a thread of the holder does."""
    while not stopped.wait(BEAT):
        with suppress(OSError):  # a file system that does not answer for a while, or a folder that is being removed
            if (found := holder_of(path)) == own:
                os.utime(path)
            elif found.token and not stopped.is_set():
                _leave(path, found)


def _leave(path: Path, other: Holder) -> NoReturn:
    """Ends this process at once: whatever it wrote now would go over what the new holder writes."""
    print(
        f"error: this process did not respond for {SILENCE / 60:.0f} minutes, so {path} was taken over "
        f"by {other}: leave the work to that process, or end it and run the same command again",
        file=sys.stderr,
        flush=True,
    )
    os._exit(EXIT_LOST)


def _let_go(path: Path, file: int, own: Holder, stopped: threading.Event) -> None:
    if os.getpid() != own.pid:  # a fork of the holder
        return
    stopped.set()
    with suppress(OSError):
        if holder_of(path) == own:
            path.unlink()
    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)  # of forks of this process, too
    os.close(file)


def _created(path: Path) -> int | None:
    """A new file, locked where that is possible; None if there is one."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    for _ in range(TRIES):  # somebody may be looking whether it is locked
        if _lock(file):
            break
        time.sleep(0.01)
    return file


def _lock(file: int) -> bool:
    """Locks a file; False if somebody else has done so. Where there are no locks, nobody has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def _own(file: int) -> Holder:
    return Holder.own(os.fstat(file).st_ino)


def _read(file: int) -> Holder:
    try:
        values = json.loads(os.pread(file, 8 * LENGTH, 0))
        holder = Holder(**values)
    except (ValueError, TypeError, RecursionError):
        return Holder()
    is_whole = all(type(value) is type(getattr(Holder, key)) for key, value in values.items())
    return holder if is_whole else Holder()


def _write(file: int, own: Holder) -> None:
    os.pwrite(file, json.dumps(asdict(own)).ljust(LENGTH).encode(), 0)
    os.ftruncate(file, LENGTH)
    os.fsync(file)
    os.utime(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file still is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _age(file: int, folder: Path) -> float:
    """The seconds since a file was renewed; where that matters, by the clock of its file system."""
    changed = os.fstat(file).st_mtime
    if 0 <= (age := time.time() - changed) < SILENCE:
        return age
    probe = folder / f".{secrets.token_hex(8)}.now"
    with suppress(OSError):
        probe.touch()
        age = abs(probe.stat().st_mtime - changed)  # a time to come is of a clock that was set back since
        probe.unlink()
    return age
