"""Imports the released transformer: `python -m maskgit_lab.nets.released --from FILE --out FILE.safetensors`.

The released checkpoint is flax's (google-research/maskgit). Shapes: D width, H heads, V tokens in all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.nets.files import check_arrays, check_finite, save_net, shapes_of
from maskgit_lab.nets.flax import read_flax
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN

Arrays = Mapping[str, Tensor]


@dataclass(frozen=True)
class Source:
    """Where one of our arrays comes from: released ones, each converted to our layout, concatenated."""

    names: tuple[str, ...]  # in the released file
    turn: Callable[[Tensor], Tensor] = lambda array: array  # converts a released array to our layout


def fill(net: nn.Module, sources: Mapping[str, Source], arrays: Arrays, where: str) -> None:
    """Fills a network from released arrays.

    Raises:
        UserError: arrays are missing, unknown, of another shape, or contain NaN.
    """
    state: dict[str, Tensor] = {}
    named = {name for source in sources.values() for name in source.names}
    check_arrays(dict.fromkeys(named, ()), dict.fromkeys(arrays, ()), where)
    for name, source in sources.items():
        try:
            state[name] = torch.cat([source.turn(arrays[part]) for part in source.names])
        except (RuntimeError, IndexError):  # left as it is, so that the error names its shape
            state[name] = arrays[source.names[0]]
    released = {name: "+".join(source.names) for name, source in sources.items()}
    needed, found = shapes_of(net.state_dict()), shapes_of(state)
    check_arrays(
        {released[name]: shape for name, shape in needed.items()},
        {released[name]: shape for name, shape in found.items()},
        where,
    )
    check_finite(arrays, where)
    net.load_state_dict(state, assign=True)


def dense(name: str, inputs: int) -> dict[str, Source]:
    """A linear layer from a flax one, whose heads may have an axis of their own."""
    kernel = Source((f"{name}/kernel",), lambda array: array.reshape(inputs, -1).T)
    return {"weight": kernel, "bias": Source((f"{name}/bias",), torch.flatten)}


def norm(name: str) -> dict[str, Source]:
    """A LayerNorm or GroupNorm from a flax one."""
    return {"weight": Source((f"{name}/scale",)), "bias": Source((f"{name}/bias",))}


def prefixed(prefix: str, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The same sources, with our names inside a module."""
    return {f"{prefix}.{name}": source for name, source in sources.items()}


def _layer(prefix: str, index: int, width: int, mlp_width: int) -> dict[str, Source]:
    attention, mlp = f"TransformerLayer_{index}/Attention_0", f"TransformerLayer_{index}/Mlp_0"
    parts = [dense(f"{attention}/self_attention/{name}", width) for name in ("query", "key", "value")]
    qkv = {
        kind: Source(tuple(part[kind].names[0] for part in parts), parts[0][kind].turn) for kind in ("weight", "bias")
    }
    return {
        **prefixed(f"{prefix}.attention.qkv", qkv),
        **prefixed(f"{prefix}.attention.out", dense(f"{attention}/self_attention/out", width)),
        **prefixed(f"{prefix}.attention_norm", norm(f"{attention}/attention_output_ln")),
        **prefixed(f"{prefix}.mlp.0", dense(f"{mlp}/intermediate_output", width)),
        **prefixed(f"{prefix}.mlp.2", dense(f"{mlp}/layer_output", mlp_width)),
        **prefixed(f"{prefix}.mlp_norm", norm(f"{mlp}/layer_output_ln")),
    }


def _sources(net: Transformer) -> dict[str, Source]:
    width, mlp_width = int(net.sizes["width"]), int(net.sizes["mlp_width"])
    sources = {
        "token_embedding.weight": Source(("Embed_0/word_embeddings/embedding",)),
        "position_embedding.weight": Source(("Embed_0/position_embeddings/embedding",)),
        **prefixed("embedding_norm", norm("Embed_0/embeddings_ln")),
        **prefixed("head.0", dense("MlmLayer_0/mlm_dense", width)),
        **prefixed("head.2", norm("MlmLayer_0/mlm_ln")),
        "head_bias": Source(("MlmLayer_0/mlm_bias/bias",)),
    }
    for index in range(len(net.layers)):
        sources |= _layer(f"layers.{index}", index, width, mlp_width)
    return sources


def released_transformer(path: Path, n_codes: int = 1024) -> Transformer:
    """The transformer of a released checkpoint, in evaluation mode.

    Args:
        path: flax's file.
        n_codes: K, which the arrays do not reveal; the rest of the vocabulary are classes and the mask token.

    Raises:
        UserError: the file is absent, damaged or hostile, or not this network's.
    """
    arrays = read_flax(path)

    def shape(name: str, n_axes: int) -> tuple[int, ...]:
        if name not in arrays or arrays[name].ndim != n_axes:
            raise UserError(f"{path} is not a MaskGIT transformer: it has no array {name} of {n_axes} axes")
        return tuple(arrays[name].shape)

    n_vocabulary, width = shape("Embed_0/word_embeddings/embedding", 2)
    n_positions, _ = shape("Embed_0/position_embeddings/embedding", 2)
    _, heads, _ = shape("TransformerLayer_0/Attention_0/self_attention/query/kernel", 3)
    _, mlp_width = shape("TransformerLayer_0/Mlp_0/intermediate_output/kernel", 2)
    if not 0 < n_codes < n_vocabulary - 1:
        raise UserError(f"--codes {n_codes} is not possible with {n_vocabulary} tokens: give the size of the codebook")
    layers = {name.split("/")[0] for name in arrays if name.startswith("TransformerLayer_")}
    try:
        with torch.device("meta"):  # allocates nothing before the shapes are known to fit
            net = Transformer(
                n_codes, n_vocabulary - 1 - n_codes, n_positions - 1, len(layers), heads, width, mlp_width
            )
    except ValueError as error:
        raise UserError(f"{path} is not a MaskGIT transformer: {error}") from error
    fill(net, _sources(net), arrays, str(path))
    return net.eval()


def run_importer(
    description: str,
    convert: Callable[[argparse.Namespace], VQGAN | Transformer],
    extra: Callable[[argparse.ArgumentParser], None],
) -> None:
    """The command line of an importer: `--from FILE --out FILE.safetensors`; errors are one sentence."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="the released file")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    extra(parser)
    arguments = parser.parse_args()
    try:
        if not arguments.out.parent.is_dir():
            raise UserError(f"there is no folder {arguments.out.parent}: create it, or choose another --out")
        if arguments.out.exists():
            raise UserError(f"{arguments.out} already exists: choose another --out, so that nothing is lost")
        net = convert(arguments)
        save_net(net, arguments.out, source={"file": arguments.source.name, "sha256": file_sha256(arguments.source)})
    except (UserError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    n_weights = sum(p.numel() for p in net.parameters())
    print(f"{arguments.out}: {n_weights:,} parameters, {net.sizes}")


def _add_codes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--codes", type=int, default=1024, help="size of the tokenizer's codebook (default: 1024)")


if __name__ == "__main__":
    run_importer(
        "Turns a released MaskGIT transformer (flax msgpack) into a safetensors file of this suite.",
        lambda arguments: released_transformer(arguments.source, arguments.codes),
        _add_codes,
    )
