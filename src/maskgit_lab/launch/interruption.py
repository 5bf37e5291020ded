"""Ctrl-C and the signals of schedulers: how a command ends, and how it goes on.

SIGTERM ends it. SIGUSR1 and SIGUSR2 are sent some time before the limit of a job, as it asks for: there the command
also asks SLURM to run the job again. A training first saves its state, which is not decided here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from maskgit_lab import lifeline
from maskgit_lab.errors import Interrupted, first_line
from maskgit_lab.placement import BY_HAND, placement

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
REQUEUES = (signal.SIGUSR1, signal.SIGUSR2)
AGAIN_SECONDS = 1.0  # after which a second Ctrl-C is one, and not the same from a terminal and a parent
AWAY_SECONDS = 0.01  # after which a destructor should have ended; a longer one gets the signal another time
SCONTROL_SECONDS = 15
EXIT_SIGNAL = 128
_last = 0.0  # when the last signal was heeded


@contextmanager
def raised() -> Iterator[None]:
    """While this lasts, a signal that asks this process to end raises `Interrupted` in its main thread.

    Signals that somebody else handles are left to them: submitit takes SIGUSR2, and queues its job again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in ENDS}
    mine = [each for each, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    for each in mine:
        signal.signal(each, _handler_of(os.getpid()))
    hook = sys.unraisablehook
    sys.unraisablehook = _sent_again(hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for each in mine:
            signal.signal(each, before[each])


def _sent_again(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    """Sends a signal once more where Python drops what its handler raised, as in the destructor of some object."""

    def dropped(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            hook(unraisable)
            return
        sender = threading.Timer(AWAY_SECONDS, os.kill, (os.getpid(), unraisable.exc_value.signal))
        sender.daemon = True
        sender.start()

    return dropped


def _handler_of(process: int) -> Callable[[int, FrameType | None], None]:
    """Raises in a process, but not in those that are forked from it, which end with it."""

    def interrupt(number: int, _: FrameType | None) -> None:
        global _last
        now, before = time.monotonic(), _last
        if os.getpid() != process or (_is_ending() and (number != signal.SIGINT or now - before < AGAIN_SECONDS)):
            return
        _last = now
        raise Interrupted(number)

    return interrupt


def _is_ending() -> bool:
    """Whether an interruption is on its way already, and what it passes is cleaning up."""
    error = sys.exception()
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def conclude(stop: KeyboardInterrupt, then: str) -> int:
    """Says that the command was interrupted and how to go on; asks SLURM for that if there is a way, once.

    Args:
        stop: the interruption.
        then: what is left, and how to go on.

    Returns:
        The exit code.
    """
    place = placement()
    with _ignored():
        if place is None:
            _speak(_number(stop), then)
        elif lifeline.is_started_by_us():  # the parent speaks, and waits
            _leave(EXIT_SIGNAL + _number(stop))
        else:
            from maskgit_lab.lit import processes  # imports torch

            if place.rank == 0:
                _speak(_number(stop), then)
                processes.conclude()
            else:
                processes.wait_for_main()
    return EXIT_SIGNAL + _number(stop)


def ignore() -> None:
    """Ignores such signals from here on.

    An interpreter takes a second or more to put away all modules, in which a command that is finished must not fail.
    """
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)


def _leave(code: int) -> NoReturn:
    """Ends this process without the seconds that an interpreter takes to put away all modules."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def _ignored() -> Iterator[None]:
    """Without further signals, such as those by which SLURM ends a job that is queued again."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in ENDS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _speak(number: int, then: str) -> None:
    name = signal.Signals(number).name
    job = _job_of_slurm() if number in REQUEUES else ""
    if not job:
        _say("interrupted" if number == signal.SIGINT else f"interrupted by {name}", then)
        return
    _say(f"interrupted by {name}", f"job {job} is queued again, and continues from what was saved")
    if fault := _requeue(job):
        _say(f"scontrol requeue {job} failed ({fault})", "submit the job again, which continues from what was saved")


def _say(what: str, then: str) -> None:
    print(f"{what}: {then}", file=sys.stderr, flush=True)


def _job_of_slurm() -> str:
    """The job of SLURM that this command is responsible for; "": there is none, or a user types commands in it."""
    job = os.environ.get("SLURM_JOB_ID", "")
    by_hand = os.environ.get("SLURM_JOB_NAME") in BY_HAND or "SLURM_PROCID" not in os.environ
    return "" if by_hand or lifeline.is_started_by_us() or "SUBMITIT_EXECUTOR" in os.environ else job


def _requeue(job: str) -> str:
    """Asks SLURM to run a job again, which ends this one; returns why that failed, or ""."""
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=SCONTROL_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return first_line(error)
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1] if done.returncode else ""


def _number(stop: KeyboardInterrupt) -> int:
    chain = (stop, stop.__cause__)  # a sweep has words of its own
    return next((each.signal for each in chain if isinstance(each, Interrupted)), signal.SIGINT)
