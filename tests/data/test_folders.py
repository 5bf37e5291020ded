"""Every dataset through its loader, on files with the real layout."""

import hashlib

import numpy as np
import pytest
import torch
from torchvision import datasets

from maskgit_lab.data.folders import cifar10, image_folder, imagenet, places365
from maskgit_lab.data.hub import huggingface
from maskgit_lab.data.survey import find_unreadable
from maskgit_lab.errors import UserError
from picture_files import FRAMING, picture


def split(root, **folders):
    for name, classes in folders.items():
        for label in classes:
            (root / name / label).mkdir(parents=True)
            picture().save(root / name / label / "a.png")
    return root


def test_official_splits_are_kept(tmp_path):
    root = split(tmp_path, train="ab", val="ab")
    picture(3).save(root / "train" / "a" / "b.png")
    data = image_folder(str(root), **FRAMING)
    assert (len(data.train), len(data.test)) == (3, 2) and data.test.name(0) == "a/a.png"


def test_imagenet_has_a_thousand_classes(tmp_path):
    names = [f"n{i:08}" for i in range(1000)]
    data = imagenet(str(split(tmp_path / "whole", train=names, val=names)), **FRAMING)
    assert (data.n_classes, len(data.train), len(data.test)) == (1000, 1000, 1000)
    assert data.train[999][1] == 999
    with pytest.raises(UserError, match="has 2 classes, but ImageNet has 1000"):
        imagenet(str(split(tmp_path / "part", train="ab", val="ab")), **FRAMING)


def test_places365_is_read_in_torchvisions_layout(tmp_path, monkeypatch):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return name, hashlib.md5(text.encode()).hexdigest()

    kind = datasets.Places365
    monkeypatch.setattr(kind, "_CATEGORIES_META", write("categories_places365.txt", "/a/attic 0\n/b/barn 1\n"))
    lists = {
        "train-standard": (*write("places365_train_standard.txt", "/a/attic/1.jpg 0\n/b/barn/1.jpg 1\n"), 2),
        "val": (*write("places365_val.txt", "1.jpg 1\n2.jpg 0\n"), 2),
    }
    monkeypatch.setattr(kind, "_FILE_LIST_META", {split: meta[:2] for split, meta in lists.items()})
    monkeypatch.setattr(kind, "_SPLITS", ("train-standard", "val"))
    large = "data_large_standard"
    for name in (f"{large}/a/attic/1.jpg", f"{large}/b/barn/1.jpg", "val_large/1.jpg", "val_large/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(tmp_path / name)
    data = places365(str(tmp_path), **FRAMING)
    assert (len(data.train), len(data.test), data.n_classes) == (2, 2, 2)
    assert data.train[1][0].shape == (3, 8, 8) and data.test[0][1] == 1
    with pytest.raises(UserError, match="does not have torchvision's layout of Places365"):
        places365(str(tmp_path / "val_large"), **FRAMING)


def test_cifar10_in_both_of_its_layouts(tmp_path, monkeypatch):
    framing = FRAMING | {"size": 32, "crop_scale": None}
    data = cifar10(str(split(tmp_path / "folders", train=["cat", "dog"], test=["cat", "dog"])), **framing)
    assert (data.name, len(data.train), data.train[0][0].shape) == ("cifar10", 2, (3, 32, 32))

    class Batches:
        data, targets, classes = np.zeros((4, 32, 32, 3), np.uint8), [0, 1, 0, 1], ["cat", "dog"]

        def __init__(self, *args, **settings):
            pass

    monkeypatch.setattr(datasets, "CIFAR10", Batches)
    data = cifar10(str(tmp_path / "elsewhere"), **framing)
    assert len(data.train) == 4 and data.train[1, 0][1] == 1


def test_cifar10_without_a_network_says_what_is_missing(tmp_path, monkeypatch):
    def unreachable(*args, **settings):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "CIFAR10", unreachable)
    with pytest.raises(UserError, match=r"no CIFAR-10 in data.root=.* cannot be downloaded"):
        cifar10(str(tmp_path), **FRAMING)


def test_hugging_face_parquet(tmp_path):
    hub = pytest.importorskip("datasets")
    rows = {"picture": [picture(i) for i in range(4)], "kind": ["cat", "dog", "cat", "dog"]}
    features = hub.Features({"picture": hub.Image(), "kind": hub.Value("string")})
    made = hub.Dataset.from_dict(rows, features=features)
    files = {"train": str(tmp_path / "train.parquet"), "validation": str(tmp_path / "val.parquet")}
    for file in files.values():
        made.to_parquet(file)
    columns = {"image_column": "picture", "label_column": "kind"}
    data = huggingface("parquet", files, **columns, **FRAMING)
    assert (len(data.train), list(data.class_names)) == (4, ["cat", "dog"])
    assert torch.equal(data.train[1][0], data.test[1][0]) and data.train[1][1] == 1
    assert find_unreadable(data.train, 0, lambda n: None) == []
    assert huggingface("parquet", files, **columns, **FRAMING).fingerprint == data.fingerprint
    with pytest.raises(UserError, match="has no column image: choose one of picture, kind"):
        huggingface("parquet", files, **FRAMING)
    with pytest.raises(UserError, match="the split dev of the dataset parquet cannot be loaded"):
        huggingface("parquet", files, test_split="dev", **columns, **FRAMING)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"root": "absent"}, "data.root=absent is not a folder"),
        ({"root": "empty"}, "has no class folders"),
        ({"root": "hollow"}, "has no images in its class folders"),
        ({"root": "single"}, "has only one class"),
        ({"root": "lone"}, "has only 1 images"),
        ({"root": "gap"}, "the class folder c in .*gap has no images: add some, or move the folder away"),
        ({"root": "half"}, r"has no train/ and val/ \(or test/\) folders"),
        ({"root": "odd"}, r"has different classes in train/ and val/ \(such as b\)"),
        ({"crop_scale": [0, 1]}, "data.crop_scale=.* is not possible"),
        ({"crop_scale": [0.8]}, "data.crop_scale=.* is not possible"),
        ({"crop_scale": 0.8}, "data.crop_scale=0.8 is not possible: give two numbers"),
        ({"crop_scale": ["a", "b"]}, "data.crop_scale=.* is not possible: give a number for each"),
        ({"root": "loop"}, "data.root=loop is not possible: it is a link that leads back to itself"),
        ({"crop_ratio": 0}, "data.crop_ratio=.* is not possible: give 1, or"),
        ({"crop_ratio": [2, 1]}, "data.crop_ratio=.* is not possible: give 1, or"),
        ({"crop_ratio": [0.5, 1, 2]}, "data.crop_ratio=.* is not possible: give 1, or"),
        ({"crop_ratio": float("nan")}, "data.crop_ratio=.* is not possible: give 1, or"),
        ({"crop_ratio": "wide"}, "data.crop_ratio=wide is not possible: give two numbers"),
        ({"crop_ratio": None}, "data.crop_ratio=.* is not possible: give two numbers"),
        ({"size": 0}, "data.size=0 is not possible"),
        ({"test_fraction": 1.0}, "data.test_fraction=1.0 is not possible"),
        ({"max_unreadable": -1}, "data.max_unreadable=-1 is not possible"),
    ],
)
def test_unusable_folders_and_settings_are_refused(folder, tmp_path, monkeypatch, settings, sentence):
    monkeypatch.chdir(tmp_path)
    images = [f"single/a/{i}" for i in range(4)] + ["lone/a/1", "half/train/a/1", "gap/a/1", "gap/b/1"]
    images += ["odd/train/a/1", "odd/train/b/1", "odd/val/a/1"]
    for name in ("empty", "hollow/a", "gap/c", *(image[:-2] for image in images)):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "loop").symlink_to("loop")
    for name in images:
        picture().save(tmp_path / f"{name}.png")
    with pytest.raises(UserError, match=sentence):
        image_folder(**{"root": str(folder)} | FRAMING | settings)
