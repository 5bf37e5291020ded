"""Edits as a source of images: their labels and seeds, and how loggers call them."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from maskgit_lab.data.source import InMemory
from maskgit_lab.editing.holes import named_hole
from maskgit_lab.editing.options import options_for
from maskgit_lab.evaluation import edits
from maskgit_lab.evaluation.edits import Comparison, Edit, Edited, new_labels
from maskgit_lab.evaluation.reference import RealImages
from maskgit_lab.evaluation.scorer import Scorer
from maskgit_lab.metrics.scores import Choices
from maskgit_lab.runs.results import footnotes, group_of
from maskgit_lab.sampling.loading import Trained
from maskgit_lab.sampling.pipeline import Pipeline

HOLE = named_hole("center50", 16, 16)


class Nothing:
    """An extractor that nothing is measured with."""

    name = identity = "nothing"
    classes_of = None

    def __call__(self, images):
        raise AssertionError


def test_a_class_edit_gives_every_other_class_in_turn():
    own = torch.tensor([0, 0, 0, 2, 2, 1])
    new = new_labels("class_edit", own, 3)
    assert new.tolist() == [1, 2, 1, 1, 0, 0] and not bool((new == own).any())
    assert new_labels("class_edit", torch.tensor([0, 1, 1]), 2).tolist() == [1, 0, 0]
    assert new_labels("inpaint", own, 3) is own


@pytest.fixture
def source(tiny_run, generator):
    pipeline = Pipeline.load(tiny_run, device="cpu").at(3)
    pictures = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=generator)
    images = InMemory(pictures, torch.arange(6))
    real = RealImages("pictures", images, "f", (16, 16))
    scorer = Scorer(Nothing(), None, real, Choices(("fid",)), 0)
    edit = Edit("inpaint", "center50", HOLE, options_for("inpaint", {}), pipeline.tokenizer.downsample)
    return Edited(
        trained=Trained(pipeline, None, "cosine"),
        weights="w",
        labels=images.labels,
        seed=0,
        chosen=images,
        fingerprint="f",
        edit=edit,
        variants=2,
        use_labels=True,
        comparison=Comparison(real, scorer, None, "", keeps_content=True),
    )


def test_an_image_has_the_same_variants_in_any_batch(source):
    pictures = source.chosen.images
    whole = source.variant(1, range(6), pictures)
    parts = [source.variant(1, range(start, start + 2), pictures[start : start + 2]) for start in (0, 2, 4)]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, source.variant(0, range(6), pictures))
    assert not torch.equal(whole, source.again(1).variant(1, range(6), pictures))
    assert source.at(2).settings["steps"] == 2 and source.again(1).settings["repeat"] == 1


def test_without_labels_the_model_is_given_no_class(source, monkeypatch):
    given = []

    def edit(self, pictures, hole, labels, seeds, *, batch_size):
        given.append(labels)
        return SimpleNamespace(pixels=pictures)

    monkeypatch.setattr(edits.Editor, "edit", edit)
    source.variant(0, [4, 2], source.chosen.images[[4, 2]])
    replace(source, use_labels=False).variant(0, [4], source.chosen.images[[4]])
    assert [labels.tolist() for labels in given] == [[4, 2], [source.pipeline.null_label]]


def test_loggers_call_points_of_edits_after_task_and_hole():
    assert group_of([{"steps": 3}]) == "eval" == group_of([])
    assert group_of([{"steps": 3, "task": "inpaint", "hole": "center50"}]) == "inpaint_center50"
    assert group_of([{"steps": 3, "task": "class_edit", "hole": "[4,0,12,16]"}]) == "class_edit_4_0_12_16"


def test_a_table_says_what_stands_in_for_lpips_and_what_means_nothing():
    row = {"n_samples": 60_000, "steps": 3, "feature_distance": 0.3, "lpips": 0.1, "lpips_weights": "random"}
    stand_in, tried = footnotes([row])
    assert "stand in for LPIPS" in stand_in and "random weights" in tried
    assert footnotes([{"n_samples": 60_000, "steps": 3}]) == []
