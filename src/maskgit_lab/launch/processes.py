"""One process of this command for each device."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import torch
from torch.distributed import DistBackendError, DistNetworkError

from maskgit_lab import lifeline, ranks
from maskgit_lab.errors import EXIT_USER_ERROR, GO_ON, UserError
from maskgit_lab.launch import children
from maskgit_lab.lit import processes
from maskgit_lab.settings import Hardware

T = TypeVar("T")
R = TypeVar("R")
# How torch words that another process is gone, where it has no class for that.
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

    Raises:
        UserError: what is wrong, in one of the processes alone.
    """
    try:
        if here := processes.is_started(hardware):
            processes.connect(hardware)
        prepared = prepare()
        if not here:
            children.run(*command, hardware.devices)
            return None
        if hardware.threads is not None:
            torch.set_num_threads(hardware.threads)
        done = work(prepared)
        processes.leave()
        return done
    except Exception as error:
        if _is_of_another(error):
            _end_with_another(error)
        if not processes.may_speak():  # the same error of another process was printed, or what it has led to
            sys.exit(EXIT_USER_ERROR)
        processes.stop()
        processes.let_others_end()
        raise
    finally:
        processes.stop()


def _is_of_another(error: Exception) -> bool:
    """Whether an error says that another process is gone."""
    worded = isinstance(error, RuntimeError) and bool(OTHER_ENDED.search(str(error)))
    return worded or (ranks.world_size() > 1 and isinstance(error, DistNetworkError | DistBackendError))


def _end_with_another(error: Exception) -> NoReturn:
    if lifeline.is_started_by_us() or not processes.may_speak():  # the parent names it, or it has spoken itself
        sys.exit(processes.EXIT_OTHER_ENDED)
    raise UserError(
        "another process of this command has ended: it has printed why, or was killed, perhaps for lack of memory; "
        f"{GO_ON}"
    ) from error
