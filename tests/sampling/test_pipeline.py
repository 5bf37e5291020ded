"""`Pipeline` as a library: the samples of `sample.py`, one's own schedule and logits, and tokens that are known."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from copies import copy_of
from maskgit_lab import Pipeline
from maskgit_lab.errors import UserError
from maskgit_lab.masking.schedules import Square

WRONG = Path(__file__).with_name("wrong_arguments.py")


@pytest.fixture(scope="module")
def pipeline(tiny_run):
    return Pipeline.load(tiny_run, device="cpu")


def test_numbers_and_arrays_of_numpy_are_numbers(pipeline):
    wanted = pipeline.sample([3, 7], seed=5, steps=2, batch_size=1, choice_temperature=3.0)
    found = pipeline.sample(
        np.array([3, 7]),
        seed=np.int64(5),
        steps=np.int64(2),
        batch_size=np.int32(1),
        choice_temperature=np.float64(3),
    )
    assert (found.tokens == wanted.tokens).all()
    seeds = [
        pipeline.sample([3, 7], seed=given, steps=2).tokens
        for given in ([5, 6], np.array([5, 6]), torch.tensor([5, 6]))
    ]
    assert (seeds[0] == seeds[1]).all() and (seeds[0] == seeds[2]).all()
    assert pipeline.at(np.int64(3)).decoder.steps == 3


def test_a_sample_is_the_file_that_the_command_writes(command, tiny_run, pipeline, tmp_path):
    assert (
        command("sample", f"checkpoint={tiny_run}", "classes=[7,3]", "n=3", "out=s", "seed=5", "decode.steps=3").code
        == 0
    )
    samples = pipeline.sample([3, 7, 3], seed=5, steps=3)
    for image, name in zip(samples.images, ("3/00000", "7/00000", "3/00001"), strict=True):
        with Image.open(tmp_path / "s" / f"{name}.png") as file:
            written = np.asarray(file)
        assert (image.permute(1, 2, 0).numpy() * 255 == written).all()
    assert samples.images.shape == (3, 3, 16, 16) and samples.images.dtype == torch.float32
    assert samples.tokens.shape == (3, 64) and samples.history is None
    assert (pipeline.decode(samples.tokens) - samples.images).abs().max() <= 0.5 / 255 + 1e-6


def test_seeds_steps_and_history(pipeline):
    first, again, other = (pipeline.sample([3, 7], seed=seed, steps=2, keep_history=True) for seed in (0, 0, 1))
    assert (first.tokens == again.tokens).all() and (first.tokens != other.tokens).any()
    assert first.history.shape == (2, 2, 64) and (first.history[:, 0] == pipeline.mask_id).any()
    own = pipeline.sample([3, 3], seed=[11, 11])
    assert (own.tokens[0] == own.tokens[1]).all()


def test_known_tokens_never_change(pipeline, generator):
    tokens = torch.randint(pipeline.n_codes, (3, 64), generator=generator)
    hole = torch.rand(3, 64, generator=generator) < 0.5
    given = tokens.masked_fill(hole, pipeline.mask_id)
    filled = pipeline.fill(given, [0, 1, 2], seed=3, steps=4)
    assert (filled.tokens == tokens)[~hole].all() and (filled.tokens < pipeline.n_codes).all()
    assert (given == pipeline.mask_id)[hole].all()  # what was given is left as it is


@pytest.mark.parametrize("schedule", [lambda r, n: 1 - r**2, Square(), "square"], ids=["function", "object", "name"])
def test_a_schedule_is_a_function_an_object_or_a_name(pipeline, schedule):
    square = replace(pipeline, decoder=replace(pipeline.decoder, schedule=Square(), steps=4))
    expected = square.sample([1, 2], keep_history=True)
    found = pipeline.sample([1, 2], steps=4, schedule=schedule, keep_history=True)
    assert (found.history == expected.history).all() and (found.tokens == expected.tokens).all()


def test_a_functions_ratio_is_clipped_and_may_be_a_plain_number(pipeline):
    history = pipeline.sample([1], steps=3, schedule=lambda r, n: 7.0, keep_history=True).history
    assert [(step == pipeline.mask_id).sum() for step in history[0]] == [63, 62, 61]


def test_logits_take_the_place_of_the_models(pipeline):
    usual = pipeline.sample([3, 7], steps=2, seed=4)
    same = pipeline.sample([3, 7], steps=2, seed=4, logits_fn=pipeline.logits)
    assert (same.tokens == usual.tokens).all()

    def one_code(tokens, labels):
        logits = torch.full((*tokens.shape, pipeline.n_codes), -torch.inf)
        logits[..., 5] = 0
        return logits

    assert (pipeline.sample([3, 7], steps=2, logits_fn=one_code).tokens == 5).all()


def test_logits_codes_and_images(pipeline, generator):
    images = torch.rand(3, 3, 16, 16, generator=generator)
    tokens = pipeline.encode(images, batch_size=2)
    assert tokens.shape == (3, 64) and (tokens == pipeline.encode(images)).all()
    assert pipeline.decode(tokens.int()).shape == images.shape
    logits = pipeline.logits(tokens, [0, pipeline.null_label, 9])
    assert logits.shape == (3, 64, pipeline.n_codes) and not logits.requires_grad


def test_other_settings_of_the_decoder(pipeline):
    hot, cold = (pipeline.sample([3] * 4, choice_temperature=tau) for tau in (20, 0.0))
    assert (hot.tokens != cold.tokens).any()
    with pytest.raises(UserError, match=r"there is no such setting of MaskGIT; it has choice_temperature, guidance"):
        pipeline.sample([3], temperature=1.0)
    with pytest.raises(UserError, match=r"^guidance=2.0 needs a model that was trained with mvtm.label_dropout"):
        pipeline.sample([3], guidance=2.0)


def test_an_exported_folder_is_loaded_and_sampled(command, tiny_run, pipeline):
    assert command("export", f"checkpoint={tiny_run}", "out=exported").code == 0
    samples = Pipeline.load("exported", device=torch.device("cpu")).sample([3, 7], steps=2)
    assert (samples.tokens == pipeline.sample([3, 7], steps=2).tokens).all()
    files = Pipeline.load("exported/transformer.safetensors", "exported/tokenizer.safetensors", schedule="linear")
    assert files.decoder.settings["decode_schedule"] == "linear"
    assert command("sample", "checkpoint=exported", "classes=[3]", "n=1", "out=s", "decode.steps=2").code == 0
    with Image.open("s/3/00000.png") as file:
        assert (samples.images[0].permute(1, 2, 0).numpy() * 255 == np.asarray(file)).all()


def test_every_mistake_is_a_sentence(command, tiny_run, tmp_path):
    """In a process of its own: the types that the tests check are not checked for users."""
    assert command("export", f"checkpoint={tiny_run}", "out=exported").code == 0
    copy_of(tiny_run, tmp_path / "unfinished", "checkpoints")
    done = subprocess.run([sys.executable, WRONG, tiny_run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
