"""Networks in safetensors files that describe how to build them: metadata `{"network": ..., "sizes": ..., ...}`."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.nets.described import Described
from maskgit_lab.paths import check_regular

METADATA = "maskgit_lab"
MOST_NAMED = 3
D = TypeVar("D", bound=Described)


def save_net(net: Described, path: Path, **about: Any) -> None:
    """Writes a network's weights, its sizes and plain values about it, atomically."""
    write_arrays(net.state_dict(), path, {METADATA: json.dumps({"network": net.kind, "sizes": net.sizes, **about})})


def write_arrays(arrays: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes arrays as safetensors, atomically and with the user's default permissions.

    Raises:
        UserError: the path cannot be written.
    """
    temporary = path.with_name(f"{path.name}.partial")
    try:
        save_file({name: value.contiguous() for name, value in arrays.items()}, temporary, metadata)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # the library's files are readable by their owner only
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        number = error.errno if isinstance(error, OSError) else _os_error(error)
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(number, os.strerror(number), str(path)) from error
        reason = first_line(error) if number is None else os.strerror(number)
        raise UserError(f"{path} cannot be written ({reason}): choose another path") from error


def _os_error(error: SafetensorError) -> int | None:
    """The number of the operating system's error behind one of the library's."""
    number = re.search(r"os error (\d+)", str(error))
    return None if number is None else int(number[1])


def read_about(path: Path) -> dict[str, Any]:
    """A file's description of its network: at least `network` and `sizes`.

    Raises:
        UserError: it is absent or damaged, or was not written by `save_net`.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(METADATA, "null"))
        if not isinstance(about, dict):
            raise ValueError("it does not describe its network")
        if not isinstance(about["network"], str) or not isinstance(about["sizes"], dict):
            raise ValueError("an unknown network")
        return about
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path} is not a network of this suite ({first_line(error)}): give a .safetensors file from export.py or "
            "an importer (python -m maskgit_lab.tokenizers.released)"
        ) from error


def open_net(path: Path, network: type[D]) -> D:
    """The network of a file, built from its description.

    Raises:
        UserError: the file is absent or damaged, or holds another kind of network.
    """
    about, kind = read_about(path), network.kind
    if about["network"] != kind:
        raise UserError(f"{path} holds a {about['network']}, not a {kind}: give the file of a {kind}")
    found, sizes = _shapes_in(path), about["sizes"]
    try:
        check_counts([sizes.get("depth", 1), sizes.get("n_blocks", 1), len(sizes.get("multipliers", []))], len(found))
        with torch.device("meta"):  # allocates nothing for what the file only claims to hold
            net = network(**sizes)
    except (TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise UserError(f"{path} describes an impossible network ({first_line(error)}): give another file") from error
    check_arrays(shapes_of(net.state_dict()), found, str(path))
    net = network(**sizes)
    load_net(net, path)
    return net


def check_counts(counts: Sequence[int], n_arrays: int) -> None:
    """Raises a `ValueError` if a network would have more layers than there are arrays to fill them."""
    if max(counts) > n_arrays:
        raise ValueError(f"{max(counts):,} layers from {n_arrays:,} arrays")


def load_net(net: nn.Module, path: Path) -> None:
    """Fills a network with the weights of a file.

    Raises:
        UserError: the file is absent or damaged, or its arrays do not fit the network.
    """
    check_fits(net, path)
    arrays = load_file(path)
    check_finite(arrays, str(path))
    net.load_state_dict(arrays)


def check_fits(net: nn.Module, path: Path) -> None:
    """Raises a `UserError` unless a file has the arrays of a network, which may be on the meta device."""
    check_arrays(shapes_of(net.state_dict()), _shapes_in(path), str(path))


def check_arrays(needed: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Raises a `UserError` that names the first few arrays that are missing, unknown or of another shape."""
    odd = [
        f"{name} of shape {_text(found[name])} instead of {_text(shape)}"
        for name, shape in needed.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    faults = [
        _named("lacks", [name for name in needed if name not in found]),
        _named("has unknown", [name for name in found if name not in needed]),
        _named("has", odd),
    ]
    if problems := "; ".join(fault for fault in faults if fault):
        raise UserError(f"{where} does not fit the network: it {problems}; give a file of the same network")


def check_finite(arrays: Mapping[str, Tensor], where: str, advice: str = "give a valid file") -> None:
    """Raises a `UserError` that names the first array with NaN or infinite values, and ends with what to do."""
    if odd := [name for name, value in arrays.items() if not bool(torch.isfinite(value).all())]:
        raise UserError(f"{where} contains NaN or infinite values in {odd[0]}: {advice}")


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each array."""
    return {name: tuple(value.shape) for name, value in state.items()}


def _shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is not a valid safetensors file ({first_line(error)}): give another") from error


def _named(what: str, names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{what} {', '.join(names[:MOST_NAMED])}{more}" if names else ""


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "()"
