"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import wait

STARTED_BY = "MASKGIT_LAB_STARTED_BY"  # the number of a process of this suite that started this one
PR_SET_PDEATHSIG = 1  # of Linux
POLL_SECONDS = 1.0  # elsewhere
_started_by_us = False


def is_started_by_us() -> bool:
    """Whether a process of this suite started this one, and speaks for it: to the user, and to SLURM."""
    return _started_by_us


def hold() -> None:
    """Ends this process as soon as the process of this suite that started it has ended; nothing if none did."""
    global _started_by_us
    if not (number := os.environ.pop(STARTED_BY, "")).isdecimal():  # this suite gives a number alone
        return
    _started_by_us = True
    if (parent := multiprocessing.parent_process()) is not None:  # what forked this process may be a server
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    else:
        end_with_parent(int(number))


def end_with_parent(parent: int | None = None) -> None:
    """Ends this process when the one that started it ends.

    Args:
        parent: its number, if that is known; it may have ended before this was called.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_end_if_adopted, args=(os.getppid(),), daemon=True).start()
    if parent is not None and os.getppid() != parent:
        _end()


def end_worker_with_parent(_: int) -> None:
    """`worker_init_fn` of a `DataLoader`: its processes end with the one that they load for, and heed no other signal.

    SLURM sends its signals to all processes of a job, and those of this suite that take them end their workers.
    """
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    _end()


def _end_if_adopted(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
