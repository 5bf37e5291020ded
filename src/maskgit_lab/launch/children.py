"""The processes of one command on this machine, one for each device, which begin and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType

from torch._C._distributed_c10d import TCPStore

from maskgit_lab import lifeline
from maskgit_lab.errors import GO_ON, Interrupted, UserError
from maskgit_lab.heartbeat import SAID
from maskgit_lab.launch.interruption import ENDS, EXIT_SIGNAL
from maskgit_lab.lit.processes import EXIT_OTHER_ENDED
from maskgit_lab.placement import SERVED

HOST = "127.0.0.1"
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 20  # with processes that save what they have; SLURM kills all after 30
SHORT_PATIENCE_SECONDS = 3  # with the others, when one has ended without them
BLAME_SECONDS = 1  # in which the one that has ended first is seen, rather than those that noticed


class Children:
    """Runs a command in several processes, and ends all of them when one has failed or this one is to end.

    Args:
        command: of each process.
        count: of the processes.
    """

    def __init__(self, command: Sequence[str], count: int) -> None:
        self.store = TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
        shared = os.environ | {
            **{"MASTER_ADDR": HOST, "MASTER_PORT": str(self.store.port), SERVED: "True"},
            **{"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GROUP_RANK": "0"},
            lifeline.STARTED_BY: str(os.getpid()),
        }
        shared.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
        self.processes = list[subprocess.Popen[bytes]]()
        for i in range(count):
            self.processes.append(subprocess.Popen(command, env=shared | {"RANK": str(i), "LOCAL_RANK": str(i)}))

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, KeyboardInterrupt):
                self._end(getattr(error, "signal", signal.SIGINT), PATIENCE_SECONDS)
            else:
                self._end(signal.SIGTERM, SHORT_PATIENCE_SECONDS)
        finally:  # also after a second Ctrl-C
            self._end(signal.SIGKILL, None)

    def wait(self) -> None:
        """Returns when all processes have ended well.

        Raises:
            UserError: one has not, and has not said why.
            Interrupted: a signal has ended one.
            SystemExit: one has not, and has said why.
        """
        while self._are_running() and not self._failed():
            time.sleep(POLL_SECONDS)
        noticed = time.monotonic()
        while self._are_running() and not self._to_blame() and time.monotonic() - noticed < BLAME_SECONDS:
            time.sleep(POLL_SECONDS)
        if failed := self._to_blame() or self._failed():
            self._raise(failed[0])

    def _codes(self) -> list[int | None]:
        return [process.poll() for process in self.processes]

    def _are_running(self) -> bool:
        return None in self._codes()

    def _failed(self) -> list[int]:
        return [rank for rank, code in enumerate(self._codes()) if code]

    def _to_blame(self) -> list[int]:
        """The processes that have failed, those killed before the others, but not those that end for another one."""
        codes = self._codes()
        return sorted((i for i in self._failed() if codes[i] != EXIT_OTHER_ENDED), key=lambda i: codes[i] or 0)

    def _raise(self, rank: int) -> None:
        code: int = self.processes[rank].returncode
        which = f"the process of rank {rank} (of {len(self.processes)})"
        if (number := max(-code, code - EXIT_SIGNAL)) in ENDS:
            raise Interrupted(number)
        if self.store.check([SAID]):
            sys.exit(code)
        if code < 0:
            why = ", perhaps for lack of memory" if -code == signal.SIGKILL else ""
            name = signal.Signals(-code).name
            raise UserError(f"{which} was killed by signal {-code} ({name}){why}: {GO_ON}")
        raise UserError(f"{which} ended with exit code {code}, as shown above: {GO_ON}")

    def _end(self, number: int, seconds: float | None) -> None:
        """Sends a signal to the processes that run, and waits for them."""
        for process in self.processes:
            process.send_signal(number)  # nothing if it has ended
        begin = time.monotonic()
        while self._are_running() and (seconds is None or time.monotonic() - begin < seconds):
            time.sleep(POLL_SECONDS)


def run(verb: str, arguments: Sequence[str], count: int) -> None:
    """Runs a verb in several processes of this machine.

    Raises:
        UserError: one of them has failed, and has not said why.
        Interrupted: a signal has ended one.
        KeyboardInterrupt: Ctrl-C, or a signal.
        SystemExit: one of them has failed, and has said why.
    """
    # -P: without the working folder as the first on the path, which a command adds as the last.
    command = [sys.executable, "-P", "-m", "maskgit_lab", verb, *arguments]
    with Children(command, count) as children:
        children.wait()
