"""Small checkpoints in the released forms, with random arrays: flax's names and the PyTorch port's, written out."""

from __future__ import annotations

from pathlib import Path

import msgpack
import numpy as np
import torch

CODES, LATENT, WIDTHS, BLOCKS = 12, 8, (32, 32, 64), 2


def write_flax(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """A flax checkpoint: nested names, each array as (shape, type, bytes)."""
    tree: dict = {}
    for name, array in arrays.items():
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes())))
    path.write_bytes(msgpack.packb({"params": tree}))
    return path


def tokenizer_arrays() -> tuple[dict[str, np.ndarray], dict[str, torch.Tensor]]:
    """A tokenizer under flax's names and, with the same numbers, under the port's."""
    made = _Pair()
    made.add("quantizer/codebook", "quantize.embedding.weight", (CODES, LATENT))
    first, last = WIDTHS[0], WIDTHS[-1]
    made.conv("encoder/Conv_0", "encoder.conv_in", 3, 3, first, bias=False)
    places = [f"encoder.down.{level}.block.{i}" for level in range(3) for i in range(2)]
    made.blocks("encoder", [*places, "encoder.mid.0", "encoder.mid.1"], [first] * 4 + [last] * 4, first)
    made.norm("encoder/GroupNorm_0", "encoder.norm_out", last)
    made.conv("encoder/Conv_1", "encoder.conv_out", 1, last, LATENT)
    made.conv("decoder/Conv_0", "decoder.conv_in", 3, LATENT, last)
    places = [f"decoder.up.{level}.block.{i}" for level in (2, 1, 0) for i in range(2)]
    made.blocks("decoder", ["decoder.mid.0", "decoder.mid.1", *places], [last] * 4 + [first] * 4, last)
    made.conv("decoder/Conv_1", "decoder.up.2.upsample_conv", 3, last, last)
    made.conv("decoder/Conv_2", "decoder.up.1.upsample_conv", 3, first, first)
    made.norm("decoder/GroupNorm_0", "decoder.norm_out", first)
    made.conv("decoder/Conv_3", "decoder.conv_out", 3, first, 3)
    return made.flax, made.port


def transformer_arrays(depth: int = 2, width: int = 16, heads: int = 2, mlp: int = 32) -> dict[str, np.ndarray]:
    """A transformer under flax's names: 12 codes, 5 classes, 9 tokens."""
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {
        "Embed_0/word_embeddings/embedding": (18, width),
        "Embed_0/position_embeddings/embedding": (10, width),
        "MlmLayer_0/mlm_bias/bias": (18,),
        "MlmLayer_0/mlm_dense/kernel": (width, width),
        "MlmLayer_0/mlm_dense/bias": (width,),
    }
    norms = ["Embed_0/embeddings_ln", "MlmLayer_0/mlm_ln"]
    for i in range(depth):
        attention, part = f"TransformerLayer_{i}/Attention_0", f"TransformerLayer_{i}/Mlp_0"
        for name in ("query", "key", "value"):
            shapes[f"{attention}/self_attention/{name}/kernel"] = (width, heads, width // heads)
            shapes[f"{attention}/self_attention/{name}/bias"] = (heads, width // heads)
        shapes[f"{attention}/self_attention/out/kernel"] = (heads, width // heads, width)
        shapes[f"{attention}/self_attention/out/bias"] = (width,)
        for name, inputs, outputs in (("intermediate_output", width, mlp), ("layer_output", mlp, width)):
            shapes[f"{part}/{name}/kernel"], shapes[f"{part}/{name}/bias"] = (inputs, outputs), (outputs,)
        norms += [f"{attention}/attention_output_ln", f"{part}/layer_output_ln"]
    shapes |= {f"{name}/{kind}": (width,) for name in norms for kind in ("scale", "bias")}
    return {name: rng.normal(size=shape).astype(np.float32) * 0.1 for name, shape in shapes.items()}


class _Pair:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.flax: dict[str, np.ndarray] = {}
        self.port: dict[str, torch.Tensor] = {}

    def add(self, flax: str, port: str, shape: tuple[int, ...], axes: tuple[int, ...] | None = None) -> None:
        array = self.rng.normal(size=shape).astype(np.float32) * 0.1
        self.flax[flax] = array
        self.port[port] = torch.from_numpy(array if axes is None else array.transpose(axes)).contiguous()

    def conv(self, flax: str, port: str, size: int, inputs: int, outputs: int, bias: bool = True) -> None:
        self.add(f"{flax}/kernel", f"{port}.weight", (size, size, inputs, outputs), (3, 2, 0, 1))
        if bias:
            self.add(f"{flax}/bias", f"{port}.bias", (outputs,))

    def norm(self, flax: str, port: str, width: int) -> None:
        self.add(f"{flax}/scale", f"{port}.weight", (width,))
        self.add(f"{flax}/bias", f"{port}.bias", (width,))

    def blocks(self, stack: str, places: list[str], widths: list[int], inputs: int) -> None:
        for i, (place, width) in enumerate(zip(places, widths, strict=True)):
            name = f"{stack}/ResBlock_{i}"
            for half, wide in ((0, inputs), (1, width)):
                self.norm(f"{name}/GroupNorm_{half}", f"{place}.norm{half + 1}", wide)
                self.conv(f"{name}/Conv_{half}", f"{place}.conv{half + 1}", 3, wide, width, bias=False)
            if inputs != width:
                self.conv(f"{name}/Conv_2", f"{place}.nin_shortcut", 1, width, width, bias=False)
            inputs = width
