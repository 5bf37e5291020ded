"""Which of several processes this one is, as the environment says: torchrun, srun or this suite has set it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from maskgit_lab.errors import UserError

# Lightning reads the first four of these as soon as it is imported, whoever has set them.
NUMBERS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK")
NUMBERS_OF_SLURM = ("SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_NUM_TASKS")
AT_LEAST_ONE = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "MASTER_PORT")
LAST_PORT = 65535
TORCHRUN = "TORCHELASTIC_RUN_ID"
SERVED = "TORCHELASTIC_USE_AGENT_STORE"
BY_HAND = ("bash", "interactive")  # names of jobs of SLURM in which a user types commands


@dataclass(frozen=True)
class Placement:
    """One of several processes that do a command together."""

    rank: int  # from 0
    count: int  # of the processes on all machines
    local_rank: int  # on this machine, from 0
    node_rank: int  # of this machine, from 0
    address: str  # of the machine of the main process
    port: int
    served: bool  # whether the starting process listens there; else the main process does


def placement(environment: Mapping[str, str] = os.environ) -> Placement | None:
    """The place of this process, or None if it was started alone.

    A command in a batch script or in a shell of `salloc` has the variables of its job, but not those of a task: it is
    alone, however many tasks the job may have.

    Raises:
        UserError: a variable is no number, or the variables contradict each other.
    """
    numbers = _numbers(environment)
    if {"RANK", "WORLD_SIZE"} <= numbers.keys() and (TORCHRUN in environment or numbers["WORLD_SIZE"] > 1):
        return _checked(_by_torchrun(environment, numbers), "RANK", "WORLD_SIZE")
    if _is_task(environment, numbers):
        return _checked(_by_srun(environment, numbers), "SLURM_PROCID", "SLURM_NTASKS")
    return None


def _numbers(environment: Mapping[str, str]) -> dict[str, int]:
    found = {}
    slurm = NUMBERS_OF_SLURM if "SLURM_JOB_ID" in environment else ()
    for name in (*NUMBERS, *slurm, "MASTER_PORT"):
        if (text := environment.get(name)) is None:
            continue
        lowest, highest = int(name in AT_LEAST_ONE), LAST_PORT if name == "MASTER_PORT" else 10**9
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise UserError(
                f"{name}={text} in the environment is not a whole number from {lowest} to {highest}: unset {name}, "
                "which torchrun or srun sets"
            )
        found[name] = int(text)
    return found


def _by_torchrun(environment: Mapping[str, str], numbers: Mapping[str, int]) -> Placement:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not environment.get(name):
            raise UserError(
                f"RANK and WORLD_SIZE are in the environment and {name} is not: start the command with torchrun, or "
                "unset them"
            )
    rank, size = numbers["RANK"], numbers.get("LOCAL_WORLD_SIZE", numbers["WORLD_SIZE"])
    return Placement(
        rank=rank,
        count=numbers["WORLD_SIZE"],
        local_rank=numbers.get("LOCAL_RANK", rank % size),
        node_rank=numbers.get("GROUP_RANK", rank // size),
        address=environment["MASTER_ADDR"],
        port=numbers["MASTER_PORT"],
        served=environment.get(SERVED) == "True",
    )


def _is_task(environment: Mapping[str, str], numbers: Mapping[str, int]) -> bool:
    """Whether srun started this process with others.

    A batch script is a task too (it has SLURM_TASK_PID), but not of a step.
    """
    is_of_step = "SLURM_STEP_ID" in environment or "SLURM_TASK_PID" not in environment
    there = {"SLURM_JOB_ID", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"} <= environment.keys()
    return there and is_of_step and _tasks(numbers) > 1 and environment.get("SLURM_JOB_NAME") not in BY_HAND


def _tasks(numbers: Mapping[str, int]) -> int:
    return numbers.get("SLURM_STEP_NUM_TASKS", numbers["SLURM_NTASKS"])


def _by_srun(environment: Mapping[str, str], numbers: Mapping[str, int]) -> Placement:
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
    job = re.sub(r"\D", "", environment["SLURM_JOB_ID"]) or "0"
    return Placement(
        rank=numbers["SLURM_PROCID"],
        count=_tasks(numbers),
        local_rank=numbers["SLURM_LOCALID"],
        node_rank=numbers.get("SLURM_NODEID", 0),
        address=environment.get("MASTER_ADDR") or first_node(nodes) or "127.0.0.1",
        port=numbers.get("MASTER_PORT", 15000 + int(job[-4:])),  # as Lightning chooses it
        served=False,
    )


def first_node(nodes: str) -> str:
    """The first machine of a list as SLURM writes it, such as `gpu[07-09,12],login1`."""
    first = re.sub(r"\[([^],-]*)[^]]*\]", r"\1", nodes, count=1)
    return re.split(r"[,\s]", first.strip(), maxsplit=1)[0]


def _checked(place: Placement, rank: str, count: str) -> Placement:
    if place.rank >= place.count:
        raise UserError(
            f"{rank}={place.rank} and {count}={place.count} in the environment contradict each other: ranks count from "
            "0; unset them, or let torchrun or srun set them"
        )
    return place
