"""Pictures of a training, and the line of `metrics.csv` in a run."""

import csv
from dataclasses import replace

import pytest
import torch
from PIL import Image

from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.run import NoLogger, begin
from maskgit_lab.sampling.loading import open_run
from maskgit_lab.stages.watching import watched_tokenizer, watched_transformer


class Shown(NoLogger):
    def __init__(self):
        self.seen = []

    def pictures(self, pictures, step=None):
        self.seen.append((pictures, step))


@pytest.fixture
def opened(run, tiny_cache):
    folder = RunFolder(run, tiny_cache)
    settings = folder.settings()
    pipeline = open_run(folder, settings, torch.device("cpu")).pipeline
    return replace(begin(settings), home=folder, logger=Shown()), pipeline


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_samples_have_the_same_seeds_each_time_and_draw_none_of_the_trainings_random_numbers(opened):
    run, pipeline = opened
    watched = watched_transformer(run, pipeline.tokenizer)
    before = torch.get_rng_state()
    for epochs in (3, 6):
        watched.draw(pipeline.model, epochs, 7)
    assert torch.equal(torch.get_rng_state(), before)
    first, second = (run.folder.path / "pictures" / "training" / f"samples-epoch_000{n}.png" for n in (3, 6))
    assert first.read_bytes() == second.read_bytes() and size_of(first) == (4 * 64, 3 * 64)  # three classes
    assert run.logger.seen == [({"training/samples": path}, 7) for path in (first, second)]
    assert "samples-epoch_0003" not in run.folder.pictures()


def test_reconstructions_are_below_the_images(opened):
    run, pipeline = opened
    images = InMemory(torch.rand(5, 3, 16, 16), torch.arange(5))
    watched = watched_tokenizer(run, ImageData("any", images, images, ["a"], 16, "fingerprint"))
    watched.draw(pipeline.tokenizer.net, 1, 3)
    path = run.folder.path / "pictures" / "training" / "reconstructions-epoch_0001.png"
    assert size_of(path) == (5 * 64, 2 * 64)


def test_a_run_without_a_logger_has_its_history(tiny_run):
    with (tiny_run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"mvtm"} <= {row["stage"] for row in rows} <= {"tokenizer", "mvtm"}
    (last,) = [row for row in rows if row["mvtm/val_nll"]]
    assert float(last["mvtm/loss"]) > 0 and float(last["mvtm/lr"]) > 0
