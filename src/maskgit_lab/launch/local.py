"""The jobs of a sweep on this machine, each in a process of its own, some of them at once."""

from __future__ import annotations

import multiprocessing
import os
import re
import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.optimized import printed_value
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.launch.job import run_job
from maskgit_lab.lifeline import STARTED_BY
from maskgit_lab.runs.naming import run_name

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 24  # with jobs that are asked to end: they wait for their own processes, and SLURM for all of them
ERROR = re.compile(r"^error: (.+)$", re.MULTILINE)
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"

Slot = dict[str, str]  # the environment of a job: its GPUs and its threads


def share_machine(n_jobs: int, threads: int | None, gpus: int | None, devices: int, accelerator: str) -> list[Slot]:
    """What each of the jobs that run at once gets of this machine.

    Args:
        n_jobs: at once.
        threads: CPU threads of each process; None: the cores, shared.
        gpus: of each job; None: one for each device.
        devices: processes of a job.
        accelerator: that the jobs ask for.

    Raises:
        UserError: this machine has not as much.
    """
    for key, value in (("n_jobs", n_jobs), ("threads", threads), ("gpus", gpus)):
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise UserError(f"hydra.launcher.{key}={value} is not possible: give a whole number of at least 1")
    there = [] if accelerator == "cpu" else _gpus()
    each = gpus or devices
    if (there or gpus) and each > len(there):
        raise UserError(
            f"a job asks for {each} GPUs and there are {len(there)}: lower trainer.devices or the launcher's gpus"
        )
    slots = []
    for i in range(n_jobs):
        mine = [there[(i * each + j) % len(there)] for j in range(each)] if there else []
        slots.append(_threads(n_jobs * devices, threads) | ({VISIBLE_GPUS: ",".join(mine)} if mine else {}))
    return slots


def _gpus() -> list[str]:
    """The names of the GPUs that this process may use."""
    count = torch.cuda.device_count()
    return os.environ[VISIBLE_GPUS].split(",")[:count] if os.environ.get(VISIBLE_GPUS) else list(map(str, range(count)))


def _threads(processes: int, threads: int | None) -> dict[str, str]:
    if threads is None and (processes == 1 or "OMP_NUM_THREADS" in os.environ):
        return {}  # torch's own choice, or the user's
    return {"OMP_NUM_THREADS": str(threads or max(1, (os.cpu_count() or 1) // processes))}


@dataclass
class _Running:
    """A job that has begun."""

    number: int
    slot: Slot
    log: Path
    begin: int  # bytes of the log before it
    process: BaseProcess
    start: float = field(default_factory=time.perf_counter)


class LocalJobs:
    """Runs jobs of a command.

    Args:
        command: a module and its first arguments, before the overrides of a job.
        slots: the environment of each of the jobs that run at once.
        logs: the folder of what the jobs print.
    """

    def __init__(self, command: Sequence[str], slots: Sequence[Slot], logs: Path) -> None:
        self.command = command
        self.slots = slots
        self.logs = logs
        self.terminal = Terminal()

    def run(self, jobs: Sequence[list[str]]) -> list[str | None]:
        """Runs a process for each list of overrides; returns None for each that went well, else why it did not."""
        reasons: list[str | None] = [None] * len(jobs)
        waiting, free, running = deque(enumerate(jobs)), deque(self.slots), list[_Running]()
        self.logs.mkdir(parents=True, exist_ok=True)
        with _ended_with_this_process(running):
            while waiting or running:
                while waiting and free:
                    running.append(self._start(*waiting.popleft(), free.popleft(), len(jobs)))
                time.sleep(POLL_SECONDS)
                for job in [job for job in running if job.process.exitcode is not None]:
                    running.remove(job)
                    free.append(job.slot)
                    reasons[job.number] = self._finish(job, len(jobs))
        return reasons

    def value(self, overrides: Sequence[str]) -> float | None:
        """What a job that has been run prints as its `optimized_metric`."""
        return printed_value(self._log(list(overrides)).read_text(encoding="utf-8", errors="replace"))

    def _log(self, overrides: list[str]) -> Path:
        return self.logs / f"{run_name(overrides)}-{fingerprint({'job': overrides})}.log"

    def _start(self, number: int, overrides: list[str], slot: Slot, count: int) -> _Running:
        log = self._log(overrides)
        self.terminal.note("job", f"{number + 1} of {count}: {shlex.join(overrides)}; its log is {log}")
        begin = _begin_log(log, overrides)
        environment = {**os.environ, **slot, STARTED_BY: str(os.getpid())}
        arguments = ([*self.command, *overrides], Path.cwd(), environment, log.resolve())
        process = _context(self.command, slot).Process(target=run_job, args=arguments)  # type: ignore[attr-defined]
        process.start()
        return _Running(number, slot, log, begin, process)

    def _finish(self, job: _Running, count: int) -> str | None:
        assert job.process.exitcode is not None
        reason = _why(job.process.exitcode, _read(job.log, job.begin))
        seconds = time.perf_counter() - job.start
        self.terminal.note(
            "", f"{job.number + 1} of {count}: {f'failed: {reason}' if reason else f'done in {seconds:.1f} s'}"
        )
        return reason


def _context(command: Sequence[str], slot: Slot) -> BaseContext:
    """How the process of a job begins.

    Imports take longer than the rest of a short job's start. On Linux they are done once, by a server that forks a
    process for each job; with GPUs every process begins from nothing, since CUDA does not outlive a fork.
    """
    if sys.platform != "linux" or VISIBLE_GPUS in slot:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["maskgit_lab.launch.server", f"maskgit_lab.commands.{command[-1]}"])
    return context


@contextmanager
def _ended_with_this_process(running: list[_Running]) -> Iterator[None]:
    """Ends the jobs that still run when this process is interrupted or fails; they get the signal that it got."""
    number = signal.SIGTERM
    try:
        yield
    except KeyboardInterrupt as stop:
        number = signal.Signals(getattr(stop, "signal", signal.SIGINT))
        raise
    finally:
        try:
            _end([job.process for job in running], number)
        finally:  # also after a second Ctrl-C
            for job in running:
                job.process.kill()
                job.process.join()


def _end(processes: Sequence[BaseProcess], number: int) -> None:
    """Sends a signal to processes, and waits for all of them together."""
    for process in processes:
        if process.exitcode is None and process.pid is not None:
            os.kill(process.pid, number)
    limit = time.monotonic() + PATIENCE_SECONDS
    for process in processes:
        process.join(max(0.0, limit - time.monotonic()))


def _begin_log(log: Path, overrides: list[str]) -> int:
    """Puts a line between what was printed before and what is to come; returns the size of the log."""
    with log.open("ab") as file:
        if file.tell():
            file.write(f"\n==== {datetime.now():%Y-%m-%d %H:%M:%S} again: {shlex.join(overrides)}\n".encode())
        return file.tell()


def _read(log: Path, begin: int) -> str:
    return log.read_bytes()[begin:].decode(errors="replace")


def _why(code: int, printed: str) -> str | None:
    """One line on why a job has failed, or None if it has not.

    Args:
        code: its exit code.
        printed: its output.
    """
    if code == 0:
        return None
    if code < 0:
        return f"killed by signal {-code} ({signal.Signals(-code).name}), perhaps for lack of memory"
    if errors := ERROR.findall(printed):
        return str(errors[-1])
    return printed.split("\n")[-1] if (printed := printed.strip()) else f"exit code {code}"
