"""Work in two processes, as torchrun starts them; they are forked, so that nothing is imported again."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import Said, call

PATIENCE_SECONDS = 240


def in_two_processes(folder: Path, verb: str, *arguments: str) -> Said:
    """Runs an entry point with `trainer.devices=2` in a folder."""
    given = [*arguments, "trainer.devices=2", "trainer.threads=1"]
    return in_two_ranks(folder, lambda: sys.exit(call(verb, given)))


def in_two_ranks(folder: Path, work: Callable[[], object]) -> Said:
    """Does some work in both of two processes in a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=_work, args=(folder, work, rank, port), daemon=True) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(PATIENCE_SECONDS)
        process.kill()
    codes = [process.exitcode for process in ranks]
    out, err = ("".join((folder / f"{name}{rank}").read_text() for rank in range(2)) for name in ("out", "err"))
    return Said(next((code for code in codes if code is None or code), 0) or 0, out, err)


def _work(folder: Path, work: Callable[[], object], rank: int, port: int) -> None:
    os.chdir(folder)
    sys.stdout, sys.stderr = (Path(f"{name}{rank}").open("w", encoding="utf-8") for name in ("out", "err"))  # noqa: SIM115
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
    counts = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ.update(place | {name: str(count) for name, count in counts.items()})
    work()
