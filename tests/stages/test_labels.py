"""The class of an edit: by number, by name, none, the only one, or the likeliest."""

from dataclasses import replace

import pytest
import torch

from maskgit_lab.editing_files.many import Label
from maskgit_lab.errors import UserError
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.stages.labels import labels_for

PICTURE, HOLE = torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 4, dtype=torch.bool)
NAMES = ("Cat", "dog", "crane", "crane", "7")


@pytest.fixture
def of(tiny_run, tiny_cache):
    """The class of a picture, by a model whose classes have these names."""
    pipeline = Pipeline.load(tiny_run, device="cpu", cache_dir=tiny_cache)

    def label(given, names=NAMES, label_dropout=0.0) -> Label:
        made = replace(pipeline, class_names=names, label_dropout=label_dropout)
        return labels_for(given, made, None, "edge").of(PICTURE, HOLE)

    return label


def test_a_class_is_named_by_its_number_or_its_name(of):
    assert of(1) == of("dog") == Label(1, "dog", "label")
    assert of("cat").number == 0 and of("7").number == 4
    for given, sentence in {
        5: "there are the classes 0 to 4",
        "crane": "label=crane is the name of the classes 2 and 3: give the number of one",
        "dig": r"there is no such class \(did you mean dog\?\)",
    }.items():
        with pytest.raises(UserError, match=sentence):
            of(given)


def test_without_a_label_there_is_no_class_or_one(of):
    assert of(None, label_dropout=0.1) == Label(10, None, "no class")
    assert of(2, label_dropout=0.1).name == "crane"
    assert of(None, names=["all"]) == Label(0, "all", "only class")
    with pytest.raises(UserError, match="there is no run whose classifier finds the likeliest class: give label="):
        of(None)


def test_a_run_without_its_classifier_asks_for_a_label(run):
    pipeline = Pipeline.load(run, device="cpu")
    folder = RunFolder(run)
    folder.record.classifier.path = "cache:classifier/gone"
    with pytest.raises(UserError, match=r"since the run's classifier is gone .*: give label=NUMBER_OR_NAME"):
        labels_for(None, pipeline, folder, "edge")
    folder.record.classifier = None
    with pytest.raises(UserError, match="has no classifier that finds the likeliest class: give label=NUMBER_OR_NAME"):
        labels_for(None, pipeline, folder, "edge")
