"""The token cache: what is written is read, from a memory map."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from maskgit_lab.data import tokens
from maskgit_lab.data.source import ImageData


def images(n: int) -> TensorDataset:
    return TensorDataset(torch.arange(n * 48.0).view(n, 3, 4, 4) % 7 / 7, torch.arange(n) % 3)


@pytest.fixture
def data():
    return ImageData("toy", images(10), images(4), torch.arange(10) % 3, "abc", 4, "fp")


def encode(batch: torch.Tensor) -> torch.Tensor:
    return (batch[:, 0, ::2, ::2] * 7).round().long()


@pytest.mark.parametrize(("codebook_size", "dtype"), [(8, "uint16"), (2**17, "int32")])
def test_round_trip(data, tmp_path, codebook_size, dtype):
    counted = []
    about = tokens.write(data, encode, codebook_size, tmp_path, 3, counted.append)
    assert about == {"train": {"shape": [10, 2, 2], "dtype": dtype}, "test": {"shape": [4, 2, 2], "dtype": dtype}}
    assert sum(counted) == 14
    cache = tokens.TokenCache.open(tmp_path)
    assert cache.grid == (2, 2) and isinstance(cache.train.codes_nhw, np.memmap)
    for split, dataset in ((cache.train, data.train), (cache.test, data.test)):
        assert len(split) == len(dataset)
        for i in range(len(split)):
            codes, label = split[i]
            assert torch.equal(codes, encode(dataset[i][0][None]).flatten())
            assert label == dataset[i][1] and codes.dtype == label.dtype == torch.int64
