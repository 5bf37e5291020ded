"""Work in two processes, as torchrun or srun starts them; they are forked, so that nothing is imported again."""

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


def in_two_ranks(folder: Path, work: Callable[[], object], by: str = "torchrun") -> Said:
    """Does some work in both of two processes in a folder, on one machine or, by `srun`, on two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=_work, args=(folder, work, rank, port, by), daemon=True) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(PATIENCE_SECONDS)
        process.kill()
    codes = [process.exitcode for process in ranks]
    out, err = ("".join((folder / f"{name}{rank}").read_text() for rank in range(2)) for name in ("out", "err"))
    return Said(next((code for code in codes if code is None or code), 0) or 0, out, err)


def _work(folder: Path, work: Callable[[], object], rank: int, port: int, by: str) -> None:
    os.chdir(folder)
    sys.stdout, sys.stderr = (Path(f"{name}{rank}").open("w", encoding="utf-8") for name in ("out", "err"))  # noqa: SIM115
    places = {
        "torchrun": {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0},
        "srun": {"SLURM_PROCID": rank, "SLURM_LOCALID": 0, "SLURM_NODEID": rank},
    }
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **places[by]}
    os.environ.update({name: str(value) for name, value in place.items()})
    work()
