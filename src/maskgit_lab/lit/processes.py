"""Several processes, one for each device: started by torchrun's launcher or by SLURM, and connected at the start.

Lightning's own launcher would start this command again in the middle of a training; here every process runs the whole
command, and `ranks` decides what only one of them does.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence
from datetime import timedelta

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import distributed
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from maskgit_lab import ranks
from maskgit_lab.errors import UserError
from maskgit_lab.settings import Hardware

LONGEST_WAIT = timedelta(days=2)  # of the other processes for the main one


def is_started(hardware: Hardware) -> bool:
    """Whether all processes are started: only one is needed, or torchrun or SLURM started this one with the others.

    Raises:
        UserError: several machines are requested, but the command was not started on each of them.
    """
    if hardware.devices * hardware.num_nodes == 1 or _environment() is not None:
        return True
    if hardware.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={hardware.num_nodes} needs this command to be started on each machine: use srun, or "
            "torchrun --nnodes on each of them"
        )
    return False


def start(verb: str, arguments: Sequence[str], devices: int) -> int:
    """Runs a command in one process per device of this machine; returns the exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C, or a signal to terminate.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the processes report their errors
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    try:
        # -P: without the working folder as the first on the path, which a command adds as the last.
        elastic_launch(config, sys.executable)("-P", "-m", "maskgit_lab", verb, *arguments)
    except ChildFailedError as error:
        return max(1, error.get_first_failure()[1].exitcode)
    except SignalException as error:
        raise KeyboardInterrupt from error
    return 0


def connect(hardware: Hardware) -> None:
    """Connects this process to the others, if there are any.

    Raises:
        UserError: the number of processes is not the one in the settings.
    """
    needed, environment = hardware.devices * hardware.num_nodes, _environment()
    if environment is None or distributed.is_initialized():
        return
    if environment.world_size() != needed:
        raise UserError(
            f"{environment.world_size()} processes were started, but trainer.devices={hardware.devices} x "
            f"trainer.num_nodes={hardware.num_nodes} needs {needed}: make the two agree"
        )
    if needed == 1:
        return
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    backend = "gloo"
    if hardware.accelerator != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(environment.local_rank())
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(
        backend, rank=environment.global_rank(), world_size=environment.world_size(), timeout=LONGEST_WAIT
    )


def leave() -> None:
    """Ends the connection once every process has called this."""
    if ranks.world_size() > 1:
        ranks.barrier()
        distributed.destroy_process_group()


def is_one_of_several() -> bool:
    """Whether several processes were started, connected or not."""
    environment = _environment()
    return environment is not None and environment.world_size() > 1


def _environment() -> ClusterEnvironment | None:
    return next((kind() for kind in (TorchElasticEnvironment, SLURMEnvironment) if kind.detect()), None)
