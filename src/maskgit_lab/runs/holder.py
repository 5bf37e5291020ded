"""Who holds a lease: a process, told from any other on this machine and, as far as that is possible, on others."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """The process that has a lease."""

    host: str = "an unknown machine"
    pid: int = 0
    since: str = ""  # the local time, as in `2026-01-31 09:05:07`
    space: str = ""  # what its number is unique in: a boot of a machine, and a container in it
    start: str = ""  # when the process began, which tells it from a later one with the same number
    token: str = ""
    inode: int = 0  # of the file that it wrote this into, which tells it from a copy; 0: it is not known

    @classmethod
    def own(cls, inode: int = 0) -> Holder:
        """This process, with a new token."""
        since, pid = time.strftime("%Y-%m-%d %H:%M:%S"), os.getpid()
        return cls(socket.gethostname(), pid, since, _space(), start_of(pid), secrets.token_hex(8), inode)

    def __str__(self) -> str:
        """As in `process 123 on node7, since 2026-01-31 09:05:07`."""
        return f"process {self.pid} on {self.host}, since {self.since}" if self.token else "it is not known which"

    @property
    def is_here(self) -> bool:
        """Whether the process, if it runs, can be seen from here."""
        return bool(self.space) and self.space == _space()

    @property
    def runs(self) -> bool:
        """Whether the process runs; to be asked where it can be seen."""
        return bool(start := start_of(self.pid)) and start == self.start


@cache
def _space() -> str:
    """What numbers of processes are unique in: a boot of a machine, and a container in it; "": it is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def start_of(pid: int) -> str:
    """When a process began, in ticks since the boot; "": it does not run, or there is no way to know."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else rest[18]
