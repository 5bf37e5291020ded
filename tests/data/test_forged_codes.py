"""Token caches whose files hold something else than codes and labels: a sentence each."""

import pytest
import torch
from safetensors.torch import save_file

from maskgit_lab.data.tokens import open_codes
from maskgit_lab.errors import UserError

COUNTS = {"train": 6, "test": 3}
CODES = {split: torch.arange(n * 4).reshape(n, 2, 2).remainder(8).to(torch.uint16) for split, n in COUNTS.items()}
LABELS = {split: torch.arange(n) % 2 for split, n in COUNTS.items()}


def write(folder, *, codes=CODES, labels=LABELS, name="codes"):
    for split, grids in codes.items():
        save_file({name: grids.contiguous()}, folder / f"{split}-shard-000000000-{len(grids):09}.safetensors")
    save_file(labels, folder / "labels.safetensors")


def test_a_whole_cache_is_opened(tmp_path):
    write(tmp_path)
    cache = open_codes(tmp_path, 8, 2)
    assert (len(cache.train), len(cache.test), cache.grid) == (6, 3, (2, 2))


FORGED = {
    "codes above": {"codes": {**CODES, "test": CODES["test"].int() + 8}},
    "codes below": {"codes": {**CODES, "train": CODES["train"].int() - 1}},
    "codes of floats": {"codes": {**CODES, "train": CODES["train"].float()}},
    "flat codes": {"codes": {**CODES, "train": CODES["train"].flatten(1)}},
    "no codes": {"codes": {**CODES, "test": CODES["test"][:0]}},
    "grids of no size": {"codes": {split: grids[:, :0] for split, grids in CODES.items()}},
    "too few": {"codes": {**CODES, "test": CODES["test"][:2]}},
    "of other shapes": {"codes": {**CODES, "test": CODES["test"][:, :1]}},
    "no split": {"codes": {"train": CODES["train"]}},
    "another name": {"name": "tokens"},
    "labels above": {"labels": {**LABELS, "train": LABELS["train"] + 2}},
    "labels below": {"labels": {**LABELS, "train": LABELS["train"] - 1}},
    "labels of floats": {"labels": {split: labels.float() for split, labels in LABELS.items()}},
    "a grid of labels": {"labels": {split: labels[:, None] for split, labels in LABELS.items()}},
    "no labels": {"labels": {split: labels[:0] for split, labels in LABELS.items()}},
    "labels of one split": {"labels": {"train": LABELS["train"]}},
}


@pytest.mark.parametrize("how", FORGED)
def test_what_is_no_token_cache(tmp_path, how):
    write(tmp_path, **FORGED[how])
    with pytest.raises(UserError, match=r"the token cache .* is damaged \(.*\): make it again"):
        open_codes(tmp_path, 8, 2)
