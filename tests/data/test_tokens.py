"""The token cache: what is written is read back, for any number of shards, processes and kills."""

import json

import numpy as np
import pytest
import torch

from maskgit_lab.data.shards import ShardWriter, code_type
from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.data.tokens import TokenCache

N_CODES = 8


class Shifted(InMemory):
    """Images whose views differ by what is added to them."""

    def __getitem__(self, key):
        index, view = key if isinstance(key, tuple) else (key, 0)
        image, label = super().__getitem__(index)
        return (image + view / 7) % (8 / 7), label


def images(n: int, kind=Shifted) -> InMemory:
    return kind(torch.arange(n * 48.0).view(n, 3, 4, 4) % 7 / 7, torch.arange(n) % 3)


@pytest.fixture
def data():
    return ImageData("toy", images(10), images(4), "abc", 4, "fp")


def encode(batch: torch.Tensor) -> torch.Tensor:
    return (batch[:, 0, ::2, ::2] * 7).round().long()


def write(writer: ShardWriter, shards, encode=encode) -> list[int]:
    counted: list[int] = []
    for shard in shards:
        writer.write(shard, encode, N_CODES, 3, 0, counted.append)
    return counted


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("shard_size", [3, 4, 1000])
@pytest.mark.parametrize("views", [0, 1, 3])
def test_round_trip(data, tmp_path, views, shard_size):
    writer = ShardWriter(data, views, shard_size, tmp_path)
    assert sum(write(writer, writer.missing())) == 10 * max(1, views) + 4
    about = writer.finish()
    assert about["grid"] == [2, 2] and about["largest_code"] <= 7 and about["views"] == views
    cache = TokenCache.open(tmp_path)
    assert cache.grid == (2, 2) and all(isinstance(shard, np.memmap) for shard in cache.train.shards)
    assert len(cache.train) == 10 and len(cache.test) == 4
    for i in range(10):
        for epoch in range(5):
            codes, label = cache.train[i, epoch]
            expected = data.train[i, epoch % max(1, views)][0]
            assert torch.equal(codes, encode(expected[None]).flatten())
            assert label == data.train.labels[i] and codes.dtype == label.dtype == torch.int64
    for i in range(4):
        assert torch.equal(cache.test[i][0], encode(data.test[i][0][None]).flatten())


def test_processes_and_interruptions_do_not_change_the_bytes(data, tmp_path):
    whole = ShardWriter(data, 2, 3, tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    write(whole, whole.missing())
    whole.finish()
    (tmp_path / "parts").mkdir()

    def killed(batch):
        raise KeyboardInterrupt

    while (parts := ShardWriter(data, 2, 3, tmp_path / "parts")).missing():
        write(parts, parts.missing()[1::3])  # another process's share
        with pytest.raises(KeyboardInterrupt):
            write(parts, parts.missing()[:1], killed)
        write(parts, parts.missing()[:1])
        (tmp_path / "parts" / "train-00000.npy.7.tmp").write_bytes(b"half")
    parts.finish()
    assert files(tmp_path / "whole") == files(tmp_path / "parts")


def test_only_unfinished_and_damaged_shards_are_written_again(data, tmp_path):
    writer = ShardWriter(data, 1, 4, tmp_path)
    write(writer, writer.missing()[:2])
    assert [shard.number for shard in writer.missing()] == [2, 0]
    path = tmp_path / "train-00001.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    (tmp_path / "train-00000.json").write_text(json.dumps({"largest_code": 3}))
    assert [shard.number for shard in writer.missing() if shard.split == "train"] == [0, 1, 2]


def test_a_code_takes_two_bytes_unless_the_codebook_is_too_large():
    assert code_type(1024) == np.uint16 and code_type(2**16) == np.uint16 and code_type(2**17) == np.int32
