"""What the hardware of a training means for its batches."""

from __future__ import annotations

import os

import torch

from maskgit_lab.devices import device_of
from maskgit_lab.errors import UserError
from maskgit_lab.settings import Hardware
from maskgit_lab.sizes import most_processes

MOST_WORKERS = 8


def check_hardware(hardware: Hardware) -> None:
    """Raises a `UserError` for settings that this machine cannot take."""
    device = device_of(hardware.accelerator, "trainer.accelerator")
    if device.type == "cpu" and hardware.precision == "16-mixed":
        raise UserError("trainer.precision=16-mixed needs a GPU: choose bf16-mixed or 32-true")
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type != "cpu" and hardware.devices > there:
        raise UserError(f"trainer.devices={hardware.devices} is more than the {there} of this machine: lower it")
    if hardware.devices > most_processes():
        raise UserError(
            f"trainer.devices={hardware.devices} is far more than the {os.cpu_count()} cores of this machine: give at "
            f"most {most_processes()}"
        )


def batch_on_device(batch_size: int, hardware: Hardware) -> int:
    """The batch size on one device.

    Raises:
        UserError: the batch cannot be split evenly.
    """
    devices = hardware.devices * hardware.num_nodes
    if batch_size % (devices * hardware.accumulate):
        raise UserError(
            f"a batch of {batch_size} cannot be split evenly into {devices} (devices) x {hardware.accumulate} "
            "(accumulated batches): change batch_size, trainer.devices or trainer.accumulate"
        )
    return batch_size // (devices * hardware.accumulate)


def workers(hardware: Hardware) -> int:
    """The number of processes that decode images for one device."""
    if hardware.workers is not None:
        return hardware.workers
    on_gpu = hardware.accelerator != "cpu" and torch.accelerator.is_available()
    return min(MOST_WORKERS, (os.cpu_count() or 1) // hardware.devices) if on_gpu else 0
