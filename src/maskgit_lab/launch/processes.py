"""One process of this command for each device."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TypeVar

import torch

from maskgit_lab import ranks
from maskgit_lab.errors import UserError
from maskgit_lab.lit import processes
from maskgit_lab.settings import Hardware

T = TypeVar("T")
R = TypeVar("R")
# How torch words that another process is gone.
OTHER_ENDED = re.compile(r"closed by peer|reset by peer|socket closed", re.IGNORECASE)


def in_processes(
    hardware: Hardware, command: tuple[str, list[str]], prepare: Callable[[], T], work: Callable[[T], R]
) -> R | None:
    """Does some work in a process for each device.

    Args:
        hardware: how many devices there are to be.
        command: the verb and the overrides of this job, which start the other processes.
        prepare: finds what cannot work, before any process is started, and in each of them again.
        work: is given what `prepare` returns, in each of the processes.

    Returns:
        What the work returns in this process, or None where other processes have done it.
    """
    if here := processes.is_started(hardware):
        processes.connect(hardware)
    prepared = prepare()
    if not here:
        if code := processes.start(*command, hardware.devices):
            sys.exit(code)
        return None
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    try:
        done = work(prepared)
    except RuntimeError as error:
        if not OTHER_ENDED.search(str(error)):
            raise
        if ranks.is_main():
            raise UserError(
                "another process of this command has ended: it has printed why, or was killed, perhaps for lack of "
                "memory"
            ) from error
        sys.exit(1)
    processes.leave()
    return done
