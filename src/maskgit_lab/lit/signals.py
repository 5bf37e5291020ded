"""Signals that ask a training to end: they wait until its state is saved.

Schedulers send SIGTERM before they kill a job, and SIGUSR1 or SIGUSR2 some time before its limit, as the job asks for.
Lightning's own handlers are not used: on SLURM it writes a checkpoint of its own, which it would then load instead of
any other, and with several processes its handler waits for the others, which do not know of it.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from maskgit_lab.errors import Interrupted

# The later of two goes over the other: a job that is queued again gets SIGTERM too.
ASKS_TO_END = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Signals:
    """While this is open, a signal that asks to end is remembered instead of obeyed."""

    def __init__(self) -> None:
        self.received = 0  # the place of the signal in `ASKS_TO_END`, from 1; 0: none
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def deliver(self, received: int) -> None:
        """Lets a signal do what it would have done; returns only if whoever handles it lets the process go on.

        Args:
            received: the signal, as in `received` of this process or of another of the same training.

        Raises:
            Interrupted: nobody handles it.
        """
        asked = ASKS_TO_END[received - 1]
        handler = self._before.get(asked, signal.SIG_DFL)
        self._restore()
        if not callable(handler):
            raise Interrupted(asked)
        signal.raise_signal(asked)  # such as to submitit, which queues the job again
        self._install()

    def _install(self) -> None:
        self.received = 0
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = {asked: signal.signal(asked, self._remember) for asked in ASKS_TO_END}

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = max(self.received, ASKS_TO_END.index(signal.Signals(number)) + 1)
