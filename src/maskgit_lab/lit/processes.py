"""Several processes, one for each device: started by this suite, torchrun or SLURM, and connected at the start.

Lightning's own launcher would start this command again in the middle of a training; here every process runs the whole
command, and `ranks` decides what only one of them does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import distributed
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
from torch.distributed import DistError

from maskgit_lab import lifeline, ranks
from maskgit_lab.errors import GO_ON, UserError, first_line
from maskgit_lab.heartbeat import SAID, Heartbeat, leave_at_once
from maskgit_lab.placement import Placement, placement
from maskgit_lab.settings import Hardware

RENDEZVOUS = timedelta(minutes=5)  # until all processes have begun
COLLECTIVE = timedelta(minutes=30)  # of all processes at once; see `ranks` on waiting for one of them
FAREWELL_SECONDS = 10.0  # of the main process, which has the store
POLL_SECONDS = 0.05
LEFT, CONCLUDED = "left", "concluded"  # keys of the store
EXIT_ERROR = 1
EXIT_OTHER_ENDED = 75  # of a process that ends since another one has: that one is to blame
_heart: Heartbeat | None = None
_link: Store | None = None  # that connects the processes, whatever becomes of their group


class Environment(ClusterEnvironment):
    """Lightning's view of the placement of this process, so that it looks for no other and handles no signals of SLURM.

    Args:
        place: None: a training of one process.
    """

    def __init__(self, place: Placement | None) -> None:
        super().__init__()
        self.place = place or Placement(0, 1, 0, 0, "127.0.0.1", 0, served=False)

    creates_processes_externally = True

    @property
    def main_address(self) -> str:
        """The machine of the main process."""
        return self.place.address

    @property
    def main_port(self) -> int:
        """Its port."""
        return self.place.port

    @staticmethod
    def detect() -> bool:
        """Never by itself: it is given to the trainer."""
        return False

    def world_size(self) -> int:
        """The number of processes."""
        return self.place.count

    def set_world_size(self, size: int) -> None:
        """Nothing: it is known."""

    def global_rank(self) -> int:
        """The rank of this process."""
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing: it is known."""

    def local_rank(self) -> int:
        """Its rank on this machine."""
        return self.place.local_rank

    def node_rank(self) -> int:
        """The rank of this machine."""
        return self.place.node_rank


def environment(hardware: Hardware) -> Environment:
    """What Lightning is to know of the processes of a training."""
    return Environment(placement() if hardware.devices * hardware.num_nodes > 1 else None)


def is_started(hardware: Hardware) -> bool:
    """Whether all processes are started: only one is needed, or this one was started with the others.

    Raises:
        UserError: several machines are requested, but the command was not started on each of them.
    """
    if hardware.devices * hardware.num_nodes == 1 or placement() is not None:
        return True
    if hardware.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={hardware.num_nodes} needs this command to be started on each machine: use srun, or "
            "torchrun --nnodes on each of them"
        )
    return False


def connect(hardware: Hardware) -> None:
    """Connects this process to the others, if there are any.

    Raises:
        UserError: the number of processes is not the one in the settings, or the others are not there.
    """
    global _heart, _link
    needed, place = hardware.devices * hardware.num_nodes, placement()
    rank = 0 if place is None else place.rank
    rank_zero_only.rank = rank  # type: ignore[attr-defined]  # Lightning takes it from stray variables too
    if place is None or distributed.is_initialized():
        return
    if place.count != needed:
        raise UserError(
            f"{place.count} processes were started, but trainer.devices={hardware.devices} x "
            f"trainer.num_nodes={hardware.num_nodes} needs {needed}: make the two agree"
        )
    if needed == 1:
        return
    if place.served and not lifeline.is_started_by_us():
        lifeline.end_with_parent()  # torchrun's agent
    _link = _joined(place)
    _heart = Heartbeat(_link, place.rank, place.count, _end)
    if (there := ranks.meet(_link, "rendezvous", place.count, RENDEZVOUS.total_seconds())) < place.count:
        raise UserError(
            f"{there} of {place.count} processes have started after {RENDEZVOUS.seconds // 60} minutes: start all of "
            "them, and check the output of the others"
        )
    _heart.start()
    backend = "gloo"
    if hardware.accelerator != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    group = PrefixStore("group", _link)
    distributed.init_process_group(backend, store=group, rank=place.rank, world_size=place.count, timeout=COLLECTIVE)


def _joined(place: Placement) -> Store:
    """The store of all processes, once the one that serves it is there."""
    where = f"{place.address}:{place.port}"
    serves = place.rank == 0 and not place.served
    try:
        store = TCPStore(place.address, place.port, None, serves, RENDEZVOUS, wait_for_workers=False)
    except (DistError, RuntimeError) as error:
        if serves:
            raise UserError(
                f"the main process cannot listen on {where} ({first_line(error)}): give another MASTER_PORT, the same "
                "for all processes"
            ) from error
        raise UserError(
            f"the main process of this command does not answer at {where}: start all {place.count} processes, and set "
            "MASTER_ADDR to the machine of the first"
        ) from error
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT")  # torchrun may begin again with the same store
    return store if attempt is None else PrefixStore(attempt, store)


def leave() -> None:
    """Ends the connection once every process has called this."""
    if ranks.world_size() == 1:
        return
    ranks.barrier()
    stop()
    with suppress(RuntimeError):  # the main process, which may have the store, waits no longer
        if not ranks.is_main() and _link is not None:
            _link.add(LEFT, 1)
        else:
            _wait_until(lambda store: store.add(LEFT, 0) >= ranks.world_size() - 1)
    distributed.destroy_process_group()


def stop() -> None:
    """Ends the watch over the other processes, before this one ends."""
    if _heart is not None:
        _heart.stop()


def may_speak() -> bool:
    """Whether this process is the one that reports an error: the first that has one. The others end."""
    place = placement()
    if place is None or _link is None:
        return place is None or place.rank == 0
    try:
        if _link.add(SAID, 1) == 1:
            return True
        _link.add(LEFT, 1)
        return False
    except RuntimeError:  # the main process is gone, and the store with it
        return place.rank == 1


def let_others_end() -> None:
    """Gives the other processes time to notice that this one has spoken, if it has the store in which they see that."""
    place = placement()
    if place is not None and place.rank == 0 and not place.served:
        with suppress(RuntimeError):
            _wait_until(lambda store: store.add(LEFT, 0) >= place.count - 1)


def conclude() -> None:
    """Lets the other processes end, which wait while the main one asks SLURM to run the job again."""
    if _link is not None:
        with suppress(RuntimeError):
            _link.set(CONCLUDED, "1")


def wait_for_main() -> None:
    """Waits until the main process has concluded, since SLURM may end a job with the first of its processes."""
    with suppress(RuntimeError):
        _wait_until(lambda store: store.check([CONCLUDED]))


def _wait_until(holds: Callable[[Store], bool]) -> None:
    begin = time.monotonic()
    while _link is not None and not holds(_link) and time.monotonic() - begin < FAREWELL_SECONDS:
        time.sleep(POLL_SECONDS)


def _end(fault: str) -> None:
    """Ends this process, whose main thread waits for one that will not answer."""
    if fault and may_speak():
        print(f"error: {fault}: {GO_ON}", file=sys.stderr)
    with suppress(RuntimeError):
        if _link is not None:
            _link.add(LEFT, 1)
    leave_at_once(EXIT_ERROR if fault else EXIT_OTHER_ENDED)


def is_one_of_several() -> bool:
    """Whether several processes were started, connected or not."""
    place = placement()
    return place is not None and place.count > 1
