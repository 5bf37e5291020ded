"""The energy that a GPU has used, where its driver tells."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch

LIBRARY = "libnvidia-ml.so.1"  # NVIDIA's management library, which comes with the driver


def joules(device: torch.device) -> float | None:
    """What the whole device has used since its driver was loaded, whoever used it; None where that is not known."""
    if device.type != "cuda" or (nvml := _library()) is None:
        return None
    handle, used = ctypes.c_void_p(), ctypes.c_ulonglong()  # in thousandths of a joule
    name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    failed = nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)) or nvml.nvmlDeviceGetTotalEnergyConsumption(
        handle, ctypes.byref(used)
    )
    return None if failed else used.value / 1000


@cache
def _library() -> Any:
    try:
        nvml = ctypes.CDLL(LIBRARY)
        return None if nvml.nvmlInit_v2() else nvml
    except (OSError, AttributeError):
        return None
