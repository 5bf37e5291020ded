"""One process of this command for each device."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from hydra.core.hydra_config import HydraConfig
from rich.console import Console

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.lit import processes
from maskgit_lab.settings import Hardware

T = TypeVar("T")
OTHER_ENDED = re.compile(
    r"closed by peer|reset by peer|socket closed", re.IGNORECASE
)  # how torch says that one is gone


def in_processes(hardware: Hardware, prepare: Callable[[], T], work: Callable[[T], None]) -> None:
    """Does some work in a process for each device.

    Args:
        hardware: how many devices there are to be.
        prepare: finds what cannot work, before any process is started, and in each of them again.
        work: is given what `prepare` returns, in each of the processes.
    """
    if here := processes.is_started(hardware):
        processes.connect(hardware)
    prepared = prepare()
    if not here:
        if code := processes.start(*_this_command(), hardware.devices):
            sys.exit(code)
        return
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    try:
        work(prepared)
    except RuntimeError as error:
        if not OTHER_ENDED.search(str(error)):
            raise
        if ranks.is_main():
            raise UserError(
                "another process of this command has ended: it has said why, or was killed, perhaps for want of memory"
            ) from error
        sys.exit(1)
    processes.leave()


def overrides() -> list[str]:
    """The overrides of this job, which in a multirun are not those of the command line."""
    return list(HydraConfig.get().overrides.task)


def main_terminal() -> Terminal:
    """The terminal, which the main process alone writes to."""
    return Terminal(Console(quiet=True) if not ranks.is_main() else None)


def _this_command() -> tuple[Path, list[str]]:
    """The script and the overrides of this job."""
    return script_of(HydraConfig.get()), overrides()


def script_of(hydra: Any) -> Path:
    """The entry point of a command, from Hydra's own settings."""
    conf = next(source.path for source in hydra.runtime.config_sources if source.provider == "main")
    return Path(conf).parent / f"{hydra.job.name}.py"
