"""The time of decoding alone: every step of every image, and nothing else."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from maskgit_lab import Pipeline
from maskgit_lab.decoding.autoregressive import Autoregressive
from maskgit_lab.evaluation import runtime, timing
from maskgit_lab.evaluation.timing import Decoding, Lap
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.sampling.models import CheckedCausal, CheckedModel

TINY = {"n_codes": 8, "n_classes": 3, "n_tokens": 9, "depth": 1, "heads": 1, "width": 4, "mlp_width": 4}


@pytest.fixture
def runs(monkeypatch):
    """How often the model ran on how many images."""
    counted: Counter[int] = Counter()

    def counting(inner):
        def call(self, tokens, *others):
            counted[len(tokens)] += 1
            return inner(self, tokens, *others)

        return call

    monkeypatch.setattr(CheckedModel, "__call__", counting(CheckedModel.__call__))
    monkeypatch.setattr(CheckedCausal, "next_logits", counting(CheckedCausal.next_logits))
    monkeypatch.setattr(runtime, "ENOUGH", 1e9)
    return counted


@pytest.fixture(scope="module")
def pipeline(tiny_run):
    return Pipeline.load(tiny_run, device="cpu").at(5)


@pytest.fixture(scope="module")
def autoregressive(pipeline):
    """The same with an autoregressive model that knows nothing."""
    torch.manual_seed(0)
    return replace(pipeline, model=CausalTransformer(**TINY).eval(), decoder=Autoregressive())


def test_every_step_runs_on_every_image_and_no_tokenizer(pipeline, runs, monkeypatch):
    monkeypatch.setattr(type(pipeline), "pixels", None)
    labels = torch.arange(30) % 3
    assert runtime.decode_seconds_per_image(pipeline, labels, 8) > 0
    assert runs == {8: timing.SHORT + runtime.REPEATS * 5}  # a step that is shared would run on 3


def test_an_autoregressive_model_runs_once_for_each_token(autoregressive, runs):
    labels = torch.arange(30) % 3
    assert runtime.decode_seconds_per_image(autoregressive, labels, 8) > 0
    first, others = runtime.REPEATS, runtime.REPEATS * 8
    probed = {3: 1, 8: 3 * timing.PROBED + timing.PROBED - 1}  # the first of N steps is shared within a class
    assert runs == {3: first + probed[3], 8: others + probed[8]}


def test_a_batch_that_does_not_fit_is_halved_before_it_is_timed(pipeline, runs, monkeypatch):
    def decode(self, decoder, model, tokens, decode=Decoding._decode):
        if len(tokens) > 4:
            raise torch.OutOfMemoryError
        return decode(self, decoder, model, tokens)

    monkeypatch.setattr(Decoding, "_decode", decode)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert runtime.decode_seconds_per_image(pipeline, torch.zeros(8, dtype=torch.int64), 100) > 0
    assert runs == {4: 2 * (timing.SHORT + runtime.REPEATS * 5)}


@pytest.mark.parametrize(("times", "shown"), [([0.6, 0.1, 0.2], 0.05), ([9.0], 2.25), ([0.5, 0.75], 0.15625)])
def test_the_median_counts_of_what_does_not_take_long(pipeline, monkeypatch, times, shown):
    left = iter(times)
    monkeypatch.setattr(Decoding, "lap", lambda self: Lap(self.labels_B, next(left), 0.0))
    assert runtime.decode_seconds_per_image(pipeline, torch.zeros(4, dtype=torch.int64), 4) == shown
    assert not list(left)


def test_it_is_said_where_it_was_timed():
    assert runtime.timed_on(torch.device("cpu"), 128) == "cpu, threads: 1, images at once: 128"


@pytest.mark.parametrize("kv_cache", [True, False])
def test_what_all_steps_will_take_is_known_from_a_few(autoregressive, monkeypatch, kv_cache):
    """With a clock that shows a quadratic cost of each step, which Simpson's rule integrates exactly."""
    known = []

    def next_logits(self, tokens, *others, inner=CheckedCausal.next_logits):
        known.append(tokens.shape[1])
        return inner(self, tokens, *others)

    monkeypatch.setattr(CheckedCausal, "next_logits", next_logits)
    monkeypatch.setattr(Decoding, "_now", lambda self: sum(1 + t * t for t in known))
    decoding = Decoding(
        net=autoregressive.model, decoder=Autoregressive(kv_cache=kv_cache), labels_B=torch.tensor([0, 1])
    )
    expected, n = decoding.warm_up(), TINY["n_tokens"]
    assert expected == pytest.approx(sum(1 + t * t for t in range(n)), rel=0.25)


def test_the_pixels_of_a_batch_are_timed_apart(pipeline):
    grid, device = pipeline.grid, torch.device("cpu")
    pixels = timing.Pixels(tokenizer=pipeline.tokenizer, grid=grid, batch_size=2, device=device)
    assert pixels.warm_up() > 0
    lap = pixels.lap()
    assert lap.made.shape == (2, 3, *pipeline.size) and lap.made.dtype == torch.uint8 and lap.seconds > 0
