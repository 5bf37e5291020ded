"""Imports the released tokenizers: `python -m maskgit_lab.tokenizers.released --from FILE --out FILE.safetensors`.

Two formats are read: the authors' flax checkpoint (google-research/maskgit), and the PyTorch port of it that
huggingface/open-muse and bytedance/1d-tokenizer call "MaskGIT VQGAN", as a PyTorch or a safetensors file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.nets.files import check_counts
from maskgit_lab.nets.flax import read_flax
from maskgit_lab.nets.released import Arrays, Source, fill, norm, prefixed, run_importer
from maskgit_lab.nets.vqgan import VQGAN, ResidualBlock, Upsample

TORCH_MAGIC = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # a zip file or a pickle
NORM_GROUPS = 32  # of the released networks, which their arrays do not reveal


@dataclass(frozen=True)
class Part:
    """A module of the encoder or the decoder that has weights."""

    name: str  # ours
    stack: str  # `encoder` or `decoder`
    module: nn.Module  # the module
    index: int  # its number among the modules of its kind, in order of use


def released_tokenizer(path: Path) -> VQGAN:
    """The VQGAN of a released checkpoint, in evaluation mode.

    Args:
        path: flax's file, or the PyTorch port's `.bin`, `.pth` or `.safetensors`.

    Raises:
        UserError: the file is absent, damaged or hostile, or not this network's.
    """
    arrays, is_port = _read(path)
    try:
        sizes = _port_sizes(arrays) if is_port else _flax_sizes(arrays)
        with torch.device("meta"):  # allocates nothing before the shapes are known to fit
            net = VQGAN(**sizes, released_shortcut=True)
    except (KeyError, ValueError, IndexError, ArithmeticError) as error:
        missing = f"it has no array {error.args[0]}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(f"{path} is not a MaskGIT tokenizer: {missing}") from error
    fill(net, _port_sources(net) if is_port else _flax_sources(net), arrays, str(path))
    return net.eval()


def _read(path: Path) -> tuple[Arrays, bool]:
    """The arrays of a file, and whether they are the port's."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give the checkpoint's file") from error
    try:
        if head.startswith(TORCH_MAGIC):
            return _tensors(torch.load(path, map_location="cpu", weights_only=True)), True
        if head[8:9] == b"{":
            return load_file(path), True
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a valid safetensors file ({first_line(error)}): download it again") from error
    except Exception as error:  # torch.load raises almost anything on a damaged or hostile file
        raise UserError(
            f"{path} is damaged or holds more than tensors (nothing in it was run): download it again"
        ) from error
    return read_flax(path), False


def _tensors(loaded: Any) -> Arrays:
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()):
        raise TypeError("not a state dict")
    return {name: value.float() for name, value in loaded.items()}


def _flax_sizes(arrays: Arrays) -> dict[str, Any]:
    # The decoder has one convolution at each end and one after each of levels - 1 upsamplings.
    levels = _count(arrays, r"decoder/Conv_(\d+)/") - 1
    n_blocks = _count(arrays, r"encoder/ResBlock_(\d+)/") // (levels + 1)
    widths = [arrays[f"encoder/ResBlock_{n_blocks * level}/Conv_0/kernel"].shape[-1] for level in range(levels)]
    return _sizes(arrays["quantizer/codebook"], arrays["encoder/Conv_0/kernel"].shape[-1], widths, n_blocks)


def _port_sizes(arrays: Arrays) -> dict[str, Any]:
    levels, n_blocks = _count(arrays, r"encoder\.down\.(\d+)\."), _count(arrays, r"encoder\.mid\.(\d+)\.")
    widths = [arrays[f"encoder.down.{level}.block.0.conv1.weight"].shape[0] for level in range(levels)]
    return _sizes(arrays["quantize.embedding.weight"], arrays["encoder.conv_in.weight"].shape[0], widths, n_blocks)


def _sizes(codebook: Tensor, base_width: int, widths: list[int], n_blocks: int) -> dict[str, Any]:
    codebook_size, latent_dim = codebook.shape
    return {
        **{"codebook_size": codebook_size, "latent_dim": latent_dim, "base_width": base_width},
        **{"multipliers": [width // base_width for width in widths], "n_blocks": n_blocks, "norm_groups": NORM_GROUPS},
    }


def _count(arrays: Arrays, pattern: str) -> int:
    numbers = {int(found[1]) for name in arrays if (found := re.match(pattern, name))}
    count = max(numbers, default=-1) + 1
    check_counts([count], len(arrays))
    return count


def _parts(net: VQGAN) -> Iterator[Part]:
    for stack in ("encoder", "decoder"):
        counts: dict[type, int] = {}
        for i, module in enumerate(getattr(net, stack)):
            kind: type = nn.Conv2d if isinstance(module, Upsample) else type(module)
            if kind in (ResidualBlock, nn.Conv2d, nn.GroupNorm):
                name = f"{stack}.{i}.conv" if isinstance(module, Upsample) else f"{stack}.{i}"
                yield Part(name, stack, module, counts.get(kind, 0))
                counts[kind] = counts.get(kind, 0) + 1


def _flax_sources(net: VQGAN) -> dict[str, Source]:
    sources = {"quantizer.codebook": Source(("quantizer/codebook",))}
    for part in _parts(net):
        if isinstance(part.module, ResidualBlock):
            sources |= prefixed(part.name, _flax_block(part.module, f"{part.stack}/ResBlock_{part.index}"))
        elif isinstance(part.module, nn.GroupNorm):
            sources |= prefixed(part.name, norm(f"{part.stack}/GroupNorm_0"))
        else:
            sources |= prefixed(part.name, _flax_conv(part.module, f"{part.stack}/Conv_{part.index}"))
    return sources


def _flax_block(block: ResidualBlock, name: str) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for i, half in enumerate(("first", "second")):
        sources |= prefixed(f"{half}.0", norm(f"{name}/GroupNorm_{i}"))
        sources |= prefixed(f"{half}.2", _flax_conv(block.first[2], f"{name}/Conv_{i}"))
    if block.shortcut is not None:
        sources |= prefixed("shortcut", _flax_conv(block.shortcut, f"{name}/Conv_2"))
    return sources


def _flax_conv(module: nn.Module, name: str) -> dict[str, Source]:
    conv = module.conv if isinstance(module, Upsample) else module
    sources = {"weight": Source((f"{name}/kernel",), lambda array: array.permute(3, 2, 0, 1))}
    return sources | ({"bias": Source((f"{name}/bias",))} if conv.bias is not None else {})


def _port_sources(net: VQGAN) -> dict[str, Source]:
    levels, n_blocks = len(net.sizes["multipliers"]), int(net.sizes["n_blocks"])
    sources = {"quantizer.codebook": Source(("quantize.embedding.weight",))}
    for part in _parts(net):
        if isinstance(part.module, ResidualBlock):
            place = _port_block(part.stack, part.index, levels, n_blocks)
            sources |= prefixed(part.name, _port_block_sources(part.module, f"{part.stack}.{place}"))
        else:
            place = "norm_out" if isinstance(part.module, nn.GroupNorm) else _port_conv(part, levels)
            ours = part.module.conv if isinstance(part.module, Upsample) else part.module
            sources |= _same_names(part.name, ours, f"{part.stack}.{place}")
    return sources


def _port_block(stack: str, index: int, levels: int, n_blocks: int) -> str:
    """The port's name of a residual block: its middle comes last in the encoder and first in the decoder."""
    group, within = divmod(index, n_blocks)
    if stack == "encoder":
        return f"mid.{within}" if group == levels else f"down.{group}.block.{within}"
    return f"mid.{within}" if group == 0 else f"up.{levels - group}.block.{within}"


def _port_conv(part: Part, levels: int) -> str:
    if part.index == 0:
        return "conv_in"
    return f"up.{levels - part.index}.upsample_conv" if isinstance(part.module, Upsample) else "conv_out"


def _port_block_sources(block: ResidualBlock, name: str) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for i, (half, layers) in enumerate((("first", block.first), ("second", block.second)), start=1):
        sources |= _same_names(f"{half}.0", layers[0], f"{name}.norm{i}")
        sources |= _same_names(f"{half}.2", layers[2], f"{name}.conv{i}")
    if block.shortcut is not None:
        sources |= _same_names("shortcut", block.shortcut, f"{name}.nin_shortcut")
    return sources


def _same_names(ours: str, module: nn.Module, theirs: str) -> dict[str, Source]:
    return {f"{ours}.{name}": Source((f"{theirs}.{name}",)) for name, _ in module.named_parameters()}


if __name__ == "__main__":
    run_importer(
        "Turns a released MaskGIT tokenizer (flax msgpack, or its PyTorch port) into a safetensors file of this suite.",
        lambda arguments: released_tokenizer(arguments.source),
        lambda parser: None,
    )
