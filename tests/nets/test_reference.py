"""The networks against vectors made by the released JAX implementation (not part of the project; skipped without)."""

from pathlib import Path

import msgpack
import numpy as np
import pytest
import torch
from torch import nn

from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN, ResidualBlock, Upsample

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
FLAX_ARRAY = 1  # flax's msgpack extension: (shape, dtype, bytes)

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"the reference vectors are not at {REFERENCE}")


def read_flax(name: str) -> dict:
    def array(code: int, data: bytes):
        assert code == FLAX_ARRAY
        shape, dtype, buffer = msgpack.unpackb(data)
        return torch.from_numpy(np.frombuffer(buffer, dtype).reshape(shape).copy())

    return msgpack.unpackb((REFERENCE / f"{name}.msgpack").read_bytes(), ext_hook=array)["params"]


def vectors(name: str) -> dict[str, torch.Tensor]:
    with np.load(REFERENCE / f"{name}_io.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


@torch.no_grad()
def set_linear(module: nn.Linear, *parts: dict) -> None:
    """Fills a linear layer from one or more dense layers; attention's have their heads apart."""
    inputs = module.in_features
    module.weight.copy_(torch.cat([part["kernel"].reshape(inputs, -1).T for part in parts]))
    module.bias.copy_(torch.cat([part["bias"].flatten() for part in parts]))


@torch.no_grad()
def set_norm(module: nn.LayerNorm | nn.GroupNorm, part: dict) -> None:
    module.weight.copy_(part["scale"])
    module.bias.copy_(part["bias"])


@torch.no_grad()
def set_conv(module: nn.Conv2d, part: dict) -> None:
    module.weight.copy_(part["kernel"].permute(3, 2, 0, 1))
    assert (module.bias is not None) == ("bias" in part)
    if module.bias is not None:
        module.bias.copy_(part["bias"])


@torch.no_grad()
def set_transformer(net: Transformer, params: dict) -> None:
    embed, head = params["Embed_0"], params["MlmLayer_0"]
    net.token_embedding.weight.copy_(embed["word_embeddings"]["embedding"])
    net.position_embedding.weight.copy_(embed["position_embeddings"]["embedding"])
    set_norm(net.embedding_norm, embed["embeddings_ln"])
    for i, layer in enumerate(net.layers):
        attention = params[f"TransformerLayer_{i}"]["Attention_0"]
        mlp = params[f"TransformerLayer_{i}"]["Mlp_0"]
        set_linear(layer.attention.qkv, *(attention["self_attention"][name] for name in ("query", "key", "value")))
        set_linear(layer.attention.out, attention["self_attention"]["out"])
        set_norm(layer.attention_norm, attention["attention_output_ln"])
        set_linear(layer.mlp[0], mlp["intermediate_output"])
        set_linear(layer.mlp[2], mlp["layer_output"])
        set_norm(layer.mlp_norm, mlp["layer_output_ln"])
    set_linear(net.head[0], head["mlm_dense"])
    set_norm(net.head[2], head["mlm_ln"])
    net.head_bias.copy_(head["mlm_bias"]["bias"])


def set_stack(stack: nn.Sequential, params: dict) -> None:
    """Fills an encoder or a decoder: flax numbers modules of each kind in the order of their use."""
    blocks = [module for module in stack if isinstance(module, ResidualBlock)]
    convs = [m.conv if isinstance(m, Upsample) else m for m in stack if isinstance(m, nn.Conv2d | Upsample)]
    for i, block in enumerate(blocks):
        part = params[f"ResBlock_{i}"]
        for j, half in enumerate((block.first, block.second)):
            set_norm(half[0], part[f"GroupNorm_{j}"])
            set_conv(half[2], part[f"Conv_{j}"])
        if block.shortcut is not None:
            set_conv(block.shortcut, part["Conv_2"])
    for i, conv in enumerate(convs):
        set_conv(conv, params[f"Conv_{i}"])
    set_norm(next(m for m in stack if isinstance(m, nn.GroupNorm)), params["GroupNorm_0"])


@torch.no_grad()
def test_the_transformer_gives_the_released_logits():
    given = vectors("transformer")
    n_codes, n_classes = int(given["K"]), int(given["C"])
    sizes = {"n_codes": n_codes, "n_classes": n_classes, "n_tokens": 9, "heads": int(given["heads"])}
    net = Transformer(**sizes, depth=2, width=32, mlp_width=64).eval()
    set_transformer(net, read_flax("transformer"))
    tokens = given["tokens"].where(given["tokens"] >= 0, net.mask_id)  # -1 indexes the last embedding there
    sequence = torch.cat([given["labels"][:, None] + n_codes, tokens], dim=1)
    assert (net.sequence_logits(sequence) - given["logits"]).abs().max() < 1e-5
    assert (net(tokens, given["labels"]) - given["logits"][:, 1:, :n_codes]).abs().max() < 1e-5


@torch.no_grad()
def test_the_tokenizer_gives_the_released_codes_and_reconstructions():
    given, params = vectors("tokenizer"), read_flax("tokenizer")
    net = VQGAN(codebook_size=12, latent_dim=8, base_width=32, multipliers=(1, 2), n_blocks=2, released_shortcut=True)
    set_stack(net.encoder, params["encoder"])
    set_stack(net.decoder, params["decoder"])
    net.quantizer.codebook.copy_(params["quantizer"]["codebook"])
    images = given["images"].permute(0, 3, 1, 2)
    assert (net.encoder(images).permute(0, 2, 3, 1) - given["features"]).abs().max() < 1e-4
    codes = net.encode(images)
    assert torch.equal(codes.flatten(1), given["ids"].long())
    assert (net.decode(codes).permute(0, 2, 3, 1) - given["recon"]).abs().max() < 1e-4
