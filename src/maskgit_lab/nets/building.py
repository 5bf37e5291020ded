"""Networks from settings, none of them larger than a machine can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules import module as registration
from torch.nn.parameter import is_lazy

from maskgit_lab.errors import UserError
from maskgit_lab.objects import build
from maskgit_lab.sizes import MOST_MODULES, MOST_WEIGHTS, memory

N = TypeVar("N", bound=nn.Module)
BYTES = 4  # of a weight in single precision


def build_net(node: Mapping[str, Any], key: str, kind: type[N], **values: Any) -> N:
    """The network that settings describe, as `objects.build`.

    Whatever its class, its modules and weights are counted while they are made, and too many end it: on the meta
    device before any memory is taken.

    Raises:
        UserError: as of `objects.build`, or the network is larger than any that this machine can hold.
    """
    with _counted(key):
        return build(node, key, kind, **values)


@contextmanager
def _counted(key: str) -> Iterator[None]:
    room = memory()
    held = MOST_WEIGHTS if room is None else room // BYTES
    n_modules = n_weights = 0

    def of_module(module: nn.Module, name: str, added: nn.Module | None) -> None:
        nonlocal n_modules
        n_modules += 1
        if n_modules > MOST_MODULES:
            raise UserError(f"{key} has more than {MOST_MODULES:,} modules: lower its sizes")

    def of_weights(module: nn.Module, name: str, added: torch.Tensor | None) -> None:
        nonlocal n_weights
        n_weights += 0 if added is None or is_lazy(added) else added.numel()
        if n_weights > MOST_WEIGHTS:
            raise UserError(f"{key} has more than {MOST_WEIGHTS:,} weights: lower its sizes")
        if n_weights > held:
            raise UserError(f"{key} has more weights than this machine can hold, {held:,}: lower its sizes")

    hooks = (
        registration.register_module_module_registration_hook(of_module),
        registration.register_module_parameter_registration_hook(of_weights),
        registration.register_module_buffer_registration_hook(of_weights),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
