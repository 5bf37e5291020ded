"""How processes that work together notice that one of them is dead or stopped, whatever they are waiting for.

Each counts up a number in the store that connects them, and looks at those of the others. A process that works alone
for hours while the others wait goes on counting, so that waiting needs no limit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from torch._C._distributed_c10d import Store

EVERY = 2.0  # seconds between two beats
PATIENCE = 90  # beats of this process without one of another: three minutes in which this one was not stopped itself
SAID = "said"  # the key of the store that the first process with an error takes
GRACE = 3.0  # seconds in which the main thread may notice by itself


class Heartbeat:
    """The beats of this process, in a thread of its own.

    Args:
        store: that connects the processes.
        rank: of this process.
        count: of the processes.
        end: is given what is wrong, in a thread, when another process is dead or stopped or cannot be reached, or ""
            when one has failed and said why.
    """

    def __init__(self, store: Store, rank: int, count: int, end: Callable[[str], object]) -> None:
        self._store = store.clone()  # a connection of its own: the other may be in use for long
        self._rank = rank
        self._watched = range(1, count) if rank == 0 else range(1)  # the main process watches all, and they watch it
        self._seen = dict.fromkeys(self._watched, ("", 0))  # the last beat of each, and for how many of ours
        self._end = end
        self._stopped = threading.Event()
        self._number = 0
        self._beat()

    def start(self) -> None:
        """Begins to beat."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Ends the beats."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY):
            try:
                self._beat()
                if self._store.check([SAID]):
                    self._end("")
                    return
                fault = self._silent()
            except RuntimeError:  # the store is gone, with the process that has it
                fault = "the connection to the main process of this command is lost"
            if fault:
                if not self._stopped.wait(GRACE):
                    self._end(fault)
                return

    def _beat(self) -> None:
        self._number += 1
        self._store.set(_key(self._rank), str(self._number))

    def _silent(self) -> str:
        """Which process has not counted for too long; "": none."""
        for rank in self._watched:
            beat, since = self._seen[rank]
            now = self._store.get(_key(rank)).decode()
            self._seen[rank] = (now, 0 if now != beat else since + 1)
            if self._seen[rank][1] > PATIENCE:
                minutes = PATIENCE * EVERY / 60
                return f"the process of rank {rank} has not answered for {minutes:.0f} minutes"
        return ""


def leave_at_once(code: int) -> None:
    """Ends this process from any of its threads, whatever the others wait for."""
    os._exit(code)


def _key(rank: int) -> str:
    return f"beat/{rank}"
