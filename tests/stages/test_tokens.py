"""The token cache: what is encoded is read, whatever the number of shards, of processes and of kills."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskgit_lab import ranks
from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.data.tokens import code_type
from maskgit_lab.errors import UserError
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.record import Record, TokenizerRecord, TokensRecord
from maskgit_lab.runs.run import begin
from maskgit_lab.runs.store import open_valid
from maskgit_lab.settings import Hardware, TokensConf, TrainConf
from maskgit_lab.stages.tokens import encode, load_or_encode_tokens


class Shifted(InMemory):
    """Images whose views differ by what is added to them."""

    def __getitem__(self, key):
        index, view = key if isinstance(key, tuple) else (key, 0)
        image, label = super().__getitem__(index)
        return (image + view / 7) % (8 / 7), label


class Pixels:
    """A tokenizer that takes every other pixel; it is killed after so many batches."""

    codebook_size, downsample = 8, 2

    def __init__(self, batches=1000):
        self.left = batches

    def encode(self, images):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return codes_of(images)

    def decode(self, codes):
        raise NotImplementedError


def codes_of(images: torch.Tensor) -> torch.Tensor:
    return (images[:, 0, ::2, ::2] * 7).round().long()


def images(n: int) -> InMemory:
    return Shifted(torch.arange(n * 48.0).view(n, 3, 4, 4) % 7 / 7, torch.arange(n) % 3)


@pytest.fixture
def data():
    return ImageData("toy", images(10), images(4), "abc", 4, "fp")


@pytest.fixture
def make_run(tmp_path):
    """A run with its tokenizer, at its beginning."""

    def run(name="run", weights="w", **tokens):
        settings = TrainConf(
            cache_dir=str(tmp_path / "cache"),
            trainer=Hardware(accelerator="cpu"),
            tokens=TokensConf(batch_size=tokens.pop("batch_size", 3), **tokens),
        )
        (tmp_path / name).mkdir(exist_ok=True)
        own = {"fingerprint": "f", "config": "c", "command": [], "code": "x", "cache": "../cache", "wandb_id": "id"}
        Record(**own, tokenizer=TokenizerRecord("cache:t.safetensors", weights)).write(tmp_path / name)
        return replace(begin(settings), home=RunFolder(tmp_path / name))

    return run


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_mapped(tensor: torch.Tensor, folder: str) -> bool:
    """Whether a tensor lies in the memory map of a file, as Linux knows it."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, stop = (int(number, 16) for number in line.split()[0].split("-"))
        if start <= tensor.data_ptr() < stop:
            return line.split()[-1].startswith(folder)
    return False


@pytest.mark.parametrize("shard_size", [3, 4, 1000])
@pytest.mark.parametrize("views", [0, 1, 3])
def test_round_trip(data, make_run, views, shard_size):
    run = make_run(views=views, shard_size=shard_size)
    cache = load_or_encode_tokens(run, data, Pixels())
    assert cache.grid == (2, 2)
    assert all(
        is_mapped(shard, str(run.folder.place(run.record.tokens.path).resolve()))
        for shard in (*cache.train.shards, *cache.test.shards)
    )
    assert len(cache.train) == 10 and len(cache.test) == 4
    for i in range(10):
        for epoch in range(5):
            codes, label = cache.train[i, epoch]
            expected = data.train[i, epoch % max(1, views)][0]
            assert torch.equal(codes, codes_of(expected[None]).flatten())
            assert label == data.train.labels[i] and codes.dtype == label.dtype == torch.int64
    for i in range(4):
        assert torch.equal(cache.test[i][0], codes_of(data.test[i][0][None]).flatten())


def test_a_cache_is_made_once_for_the_same_images_tokenizer_and_shards(data, make_run):
    first = load_or_encode_tokens(make_run(views=2, shard_size=3), data, Pixels())
    again = load_or_encode_tokens(make_run("other", views=2, shard_size=3), data, Pixels(0))
    assert all(torch.equal(a, b) for a, b in zip(first.train.shards, again.train.shards, strict=True))
    for run, images_ in (
        (make_run(views=1), data),
        (make_run(weights="x"), data),
        (make_run(), replace(data, fingerprint="g")),
    ):
        with pytest.raises(KeyboardInterrupt):
            load_or_encode_tokens(run, images_, Pixels(0))


def test_it_says_what_it_made(data, make_run):
    counted = []
    run = make_run(views=2, shard_size=4)
    list(encode(data, Pixels(), run.store.root / "x", run, counted.append))
    assert sum(counted) == 10 * 2 + 4
    load_or_encode_tokens(run, data, Pixels())
    (entry,) = (path for path in (run.store.root / "tokens").iterdir() if path.is_dir())
    made = open_valid(entry, "make it again")
    assert (made.about["grid"], made.about["largest_code"], made.about["views"]) == ([2, 2], 7, 2)
    assert run.record.tokens == TokensRecord(f"cache:tokens/{entry.name}", made.digest)


@pytest.mark.parametrize("n_views", [0, 2])
def test_by_default_there_are_as_many_views_as_fit_the_augmentation(data, make_run, n_views):
    assert make_run("unset").settings.tokens.views is None

    class Augmented(Shifted):
        @property
        def n_views(self):
            return n_views

    run = make_run()
    cache = load_or_encode_tokens(run, replace(data, train=Augmented(data.train.images, data.train.labels)), Pixels())
    assert cache.train.n_views == max(1, n_views) and cache.test.n_views == 1
    entry = open_valid(run.folder.place(run.record.tokens.path), "make it again")
    manifest = json.loads((entry.path / "manifest.json").read_text())
    assert manifest["ingredients"]["views"] == entry.about["views"] == n_views


def test_any_number_of_processes_and_any_interruption_leave_the_same_bytes(data, make_run, tmp_path, monkeypatch):
    run = make_run(views=2, shard_size=3, batch_size=2)
    list(encode(data, Pixels(), tmp_path / "whole", run, lambda n: None))
    folder, rounds = tmp_path / "parts", 0

    def work(batches=1000):
        with contextlib.suppress(KeyboardInterrupt):
            list(encode(data, Pixels(batches), folder, run, lambda n: None))

    def work_as_another_process():
        with monkeypatch.context() as patch:
            patch.setattr(ranks, "rank", lambda: 1)
            patch.setattr(ranks, "world_size", lambda: 3)
            patch.setattr(ranks, "is_main", lambda: True)
            work()

    while not folder.exists() or files(folder).keys() != files(tmp_path / "whole").keys():
        rounds += 1
        work(1)  # killed in the middle of a shard
        (folder / "train-shard-000000000-000000003.safetensors.partial").write_bytes(b"half")
        work(3)  # killed in the middle of the second
        work_as_another_process()
    assert 2 <= rounds < 10 and files(tmp_path / "whole") == files(folder)


def test_a_killed_run_goes_on_from_its_last_shard(data, make_run):
    run = make_run(views=1, shard_size=3)
    with pytest.raises(KeyboardInterrupt):
        load_or_encode_tokens(run, data, Pixels(2))
    assert run.record.tokens is None
    cache = load_or_encode_tokens(run, data, Pixels(4))  # of 4 + 2 shards two are there
    assert [len(shard) for shard in cache.train.shards] == [3, 3, 3, 1]


def test_a_cache_from_elsewhere_is_of_the_same_images_and_tokenizer(data, make_run):
    run = make_run(shard_size=3)
    load_or_encode_tokens(run, data, Pixels())
    path = str(run.folder.place(run.record.tokens.path))
    there = load_or_encode_tokens(make_run("there", path=path), data, Pixels(0))
    assert len(there.train) == 10
    for other, images_, said in (
        (make_run("a", "other", path=path), data, "codes made by another tokenizer"),
        (make_run("b", path=path), replace(data, fingerprint="other"), "codes made of other images"),
        (make_run("c", path=f"{path}/nowhere"), data, "cannot be used"),
    ):
        with pytest.raises(UserError, match=said):
            load_or_encode_tokens(other, images_, Pixels(0))


def test_a_code_takes_two_bytes_unless_there_are_too_many():
    assert code_type(1024) == torch.uint16 and code_type(2**16) == torch.uint16 and code_type(2**17) == torch.int32
