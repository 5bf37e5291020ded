"""The networks against vectors made by the released JAX implementation (not part of the project; skipped if absent)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from maskgit_lab.nets.released import released_transformer
from maskgit_lab.tokenizers.released import released_tokenizer

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"the reference vectors are not at {REFERENCE}")


def vectors(name: str) -> dict[str, torch.Tensor]:
    with np.load(REFERENCE / f"{name}_io.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


@torch.no_grad()
def test_the_transformer_gives_the_released_logits():
    given = vectors("transformer")
    n_codes = int(given["K"])
    net = released_transformer(REFERENCE / "transformer.msgpack", n_codes)
    assert (net.n_classes, net.sizes["heads"]) == (int(given["C"]), int(given["heads"]))
    tokens = given["tokens"].where(given["tokens"] >= 0, net.mask_id)  # -1 indexes the last embedding there
    sequence = torch.cat([given["labels"][:, None] + n_codes, tokens], dim=1)
    assert (net.sequence_logits(sequence) - given["logits"]).abs().max() < 1e-5
    assert (net(tokens, given["labels"]) - given["logits"][:, 1:, :n_codes]).abs().max() < 1e-5


@torch.no_grad()
def test_the_tokenizer_gives_the_released_codes_and_reconstructions():
    given, net = vectors("tokenizer"), released_tokenizer(REFERENCE / "tokenizer.msgpack")
    images = given["images"].permute(0, 3, 1, 2)
    assert (net.encoder(images).permute(0, 2, 3, 1) - given["features"]).abs().max() < 1e-4
    codes = net.encode(images)
    assert torch.equal(codes.flatten(1), given["ids"].long())
    assert (net.decode(codes).permute(0, 2, 3, 1) - given["recon"]).abs().max() < 1e-4
