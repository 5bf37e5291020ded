"""The time of decoding alone: every step of every image, and nothing else."""

from collections import Counter

import pytest
import torch

from maskgit_lab import Pipeline
from maskgit_lab.evaluation import runtime
from maskgit_lab.sampling.models import CheckedModel


@pytest.fixture
def runs(monkeypatch):
    """How often the model ran on how many images."""
    counted: Counter[int] = Counter()

    class Counting(CheckedModel):
        def __call__(self, tokens, labels):
            counted[len(tokens)] += 1
            return super().__call__(tokens, labels)

    monkeypatch.setattr(runtime, "CheckedModel", Counting)
    monkeypatch.setattr(runtime, "ENOUGH", 1e9)
    return counted


@pytest.fixture(scope="module")
def pipeline(tiny_run):
    return Pipeline.load(tiny_run, device="cpu").at(5)


def test_every_step_runs_on_every_image_and_no_tokenizer(pipeline, runs, monkeypatch):
    monkeypatch.setattr(type(pipeline), "pixels", None)
    labels = torch.arange(30) % 3
    assert runtime.decode_seconds_per_image(pipeline, labels, 8) > 0
    assert runs == {8: runtime.SHORT + runtime.REPEATS * 5}  # a step that is shared would run on 3


def test_a_batch_that_does_not_fit_is_halved_before_it_is_timed(pipeline, runs, monkeypatch):
    def decode(pipeline, labels, batch, decode=runtime._decode):
        if len(batch) > 4:
            raise torch.OutOfMemoryError
        return decode(pipeline, labels, batch)

    monkeypatch.setattr(runtime, "_decode", decode)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert runtime.decode_seconds_per_image(pipeline, torch.zeros(8, dtype=torch.int64), 100) > 0
    assert runs == {4: 2 * (runtime.SHORT + runtime.REPEATS * 5)}


@pytest.mark.parametrize(("times", "shown"), [([0.6, 0.1, 0.2], 0.05), ([9.0], 2.25), ([0.5, 0.75], 0.15625)])
def test_the_median_counts_of_what_does_not_take_long(pipeline, monkeypatch, times, shown):
    left = iter(times)
    monkeypatch.setattr(runtime, "_seconds", lambda *_: next(left))
    assert runtime.decode_seconds_per_image(pipeline, torch.zeros(4, dtype=torch.int64), 4) == shown
    assert not list(left)


def test_it_is_said_where_it_was_timed():
    assert runtime.timed_on(torch.device("cpu"), 128) == "cpu, threads: 1, images at once: 128"
