"""Pictures of every kind on disk: read, framed, or said to be unreadable."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from maskgit_lab.data.folders import cifar10, image_folder, imagenet, places365
from maskgit_lab.data.hub import huggingface
from maskgit_lab.data.pictures import PictureArrays, PictureFiles
from maskgit_lab.data.source import Unreadable
from maskgit_lab.data.survey import check_limit, find_unreadable, names_of
from maskgit_lab.data.views import Framing, Views
from maskgit_lab.errors import UserError

FRAMING = {"size": 8, "crop_scale": [0.8, 1.0], "flip": True, "seed": 0}


def picture(seed: int = 0, size=(12, 10)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(6):
            picture(i).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


def split(root, **folders):
    for name, classes in folders.items():
        for label in classes:
            (root / name / label).mkdir(parents=True)
            picture().save(root / name / label / "a.png")
    return root


def test_any_folder_is_held_out_in_part_and_always_the_same(folder):
    data, again = (image_folder(str(folder), test_fraction=0.25, **FRAMING) for _ in range(2))
    assert (len(data.train), len(data.test), list(data.class_names)) == (9, 3, ["cat", "dog"])
    names = {data.train.name(i) for i in range(9)} | {data.test.name(i) for i in range(3)}
    assert len(names) == 12 and data.fingerprint == again.fingerprint
    image, label = data.train[0]
    assert image.shape == (3, 8, 8) and image.min() >= 0 and image.max() <= 1 and label.dtype == torch.int64
    other = image_folder(str(folder), test_fraction=0.25, **FRAMING | {"size": 16})
    assert other.fingerprint != data.fingerprint


def test_views_depend_on_the_image_the_view_and_the_seed_alone(folder):
    data = image_folder(str(folder), **FRAMING)
    before = torch.get_rng_state()
    first = data.train[3, 5][0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    assert torch.equal(data.train[3, 5][0], first) and torch.equal(data.train.subset([3])[0, 5][0], first)
    assert not torch.equal(data.train[3, 6][0], first) and not torch.equal(data.train[3][0], first)


def test_the_centre_is_the_middle_square_and_flips_mirror_it():
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 200
    wide[:, 4] = 100
    views = Views(PictureArrays(wide[None], [0]), Framing(8, None, True, 0))
    middle = views[0][0]
    assert torch.allclose(middle[:, :, 1:], torch.tensor(200 / 255)) and torch.allclose(
        middle[:, :, 0], torch.tensor(100 / 255)
    )
    mirrored = [torch.equal(views[0, v][0], middle.flip(-1)) for v in range(40)]
    same = [torch.equal(views[0, v][0], middle) for v in range(40)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True)) and 10 < sum(mirrored) < 30


def test_every_mode_becomes_rgb(tmp_path):
    grey = np.arange(120, dtype=np.uint8).reshape(10, 12)
    made = {
        "grey.png": Image.fromarray(grey),
        "cmyk.jpg": picture().convert("CMYK"),
        "palette.gif": picture().convert("P"),
        "alpha.png": picture().convert("RGBA"),
        "bits16.png": Image.fromarray(grey.astype(np.uint16) * 257),
        "bilevel.png": picture().convert("1"),
    }
    for name, image in made.items():
        image.save(tmp_path / name)
    picture(1).save(tmp_path / "animated.gif", save_all=True, append_images=[picture(2)])
    names = [*made, "animated.gif"]
    pictures = PictureFiles(tmp_path, [(str(tmp_path / name), 0) for name in names])
    for i in range(len(names)):
        loaded = pictures.load(i)
        assert loaded.mode == "RGB" and loaded.size == (12, 10)
    for name in ("grey.png", "bits16.png"):
        assert (np.asarray(pictures.load(names.index(name)))[..., 0] == grey).all(), name


def test_unreadable_images_are_named_and_left_out_up_to_the_limit(folder):
    whole = io.BytesIO()
    picture(size=(64, 64)).save(whole, "JPEG")
    (folder / "cat" / "cut.jpg").write_bytes(whole.getvalue()[:600])
    (folder / "dog" / "text.png").write_text("no picture")
    (folder / "dog" / "empty.png").touch()
    data = image_folder(str(folder), max_unreadable=3, **FRAMING)
    counted = []
    found = {name: find_unreadable(part, 0, counted.append) for name, part in data.splits().items()}
    names = sorted(names_of(data, found))
    assert names == ["cat/cut.jpg", "dog/empty.png", "dog/text.png"] and sum(counted) == 15
    check_limit(data, names)
    left = data.without(found)
    assert len(left.train) + len(left.test) == 12 and left.fingerprint != data.fingerprint
    assert all(torch.isfinite(left.train[i][0]).all() for i in range(len(left.train)))
    assert data.without({"train": [], "test": []}) is data
    with pytest.raises(UserError, match=r"3 of 15 images cannot be read, more than data.max_unreadable=2: .*cut.jpg"):
        check_limit(image_folder(str(folder), max_unreadable=2, **FRAMING), names)
    split_name = "train" if found["train"] else "test"
    with pytest.raises(Unreadable, match="cannot be read"):
        data.splits()[split_name][found[split_name][0]]


def test_a_survey_by_several_processes_finds_the_same(folder):
    (folder / "dog" / "text.png").write_text("no picture")
    data = image_folder(str(folder), **FRAMING)
    assert find_unreadable(data.train, 2, lambda n: None) == find_unreadable(data.train, 0, lambda n: None)


def test_a_few_images_are_spread_over_the_data(folder):
    data = image_folder(str(folder), test_fraction=0.25, **FRAMING)
    few = data.take(3)
    assert (len(few.train), len(few.test)) == (3, 3) and few.fingerprint != data.fingerprint
    assert [few.train.name(i) for i in range(3)] == [data.train.name(i) for i in (0, 3, 6)]
    assert len(data.take(1000).train) == 9


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
    with pytest.raises(UserError, match="has 2 classes and ImageNet has 1000"):
        imagenet(str(split(tmp_path / "part", train="ab", val="ab")), **FRAMING)


def test_places365_is_read_as_torchvision_lays_it_out(tmp_path, monkeypatch):
    import hashlib

    def write(name, text):
        (tmp_path / name).write_text(text)
        return name, hashlib.md5(text.encode()).hexdigest()

    kind = datasets.Places365
    monkeypatch.setattr(kind, "_CATEGORIES_META", write("categories_places365.txt", "/a/attic 0\n/b/barn 1\n"))
    lists = {
        "train-standard": (*write("places365_train_standard.txt", "/a/attic/1.jpg 0\n/b/barn/1.jpg 1\n"), 2),
        "val": (*write("places365_val.txt", "1.jpg 1\n"), 1),
    }
    monkeypatch.setattr(kind, "_FILE_LIST_META", {split: meta[:2] for split, meta in lists.items()})
    monkeypatch.setattr(kind, "_SPLITS", ("train-standard", "val"))
    for name in ("data_large_standard/a/attic/1.jpg", "data_large_standard/b/barn/1.jpg", "val_large/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(tmp_path / name)
    data = places365(str(tmp_path), **FRAMING)
    assert (len(data.train), len(data.test), data.n_classes) == (2, 1, 2)
    assert data.train[1][0].shape == (3, 8, 8) and data.test[0][1] == 1
    with pytest.raises(UserError, match="not Places365 as torchvision lays it out"):
        places365(str(tmp_path / "val_large"), **FRAMING)


def test_cifar10_in_both_of_its_forms(tmp_path, monkeypatch):
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
    with pytest.raises(UserError, match="has no column image: name one of picture, kind"):
        huggingface("parquet", files, **FRAMING)
    with pytest.raises(UserError, match="the split dev of the data set parquet cannot be loaded"):
        huggingface("parquet", files, test_split="dev", **columns, **FRAMING)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"root": "absent"}, "data.root=absent is not a folder"),
        ({"root": "empty"}, "has no folder of images for each class"),
        ({"root": "hollow"}, "has no images in its class folders"),
        ({"root": "single"}, "has one class only"),
        ({"root": "lone"}, "has a single image"),
        ({"root": "half"}, r"has no train/ and val/ \(or test/\) folders"),
        ({"root": "odd"}, r"has other classes in train/ than in val/ \(such as b\)"),
        ({"crop_scale": [0, 1]}, "data.crop_scale=.* is not possible"),
        ({"crop_scale": [0.8]}, "data.crop_scale=.* is not possible"),
        ({"size": 0}, "data.size=0 is not possible"),
        ({"test_fraction": 1.0}, "data.test_fraction=1.0 is not possible"),
        ({"max_unreadable": -1}, "data.max_unreadable=-1 is not possible"),
    ],
)
def test_what_cannot_be(folder, tmp_path, monkeypatch, settings, said):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "hollow/a", "single/a", "lone/a", "half/train/a", "odd/train/a", "odd/train/b", "odd/val/a"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "single/a/1",
        "single/a/2",
        "lone/a/1",
        "half/train/a/1",
        "odd/train/a/1",
        "odd/train/b/1",
        "odd/val/a/1",
    ):
        picture().save(tmp_path / f"{name}.png")
    with pytest.raises(UserError, match=said):
        image_folder(**{"root": str(folder)} | FRAMING | settings)
