"""Pictures of every kind on disk: read, framed, or reported as unreadable."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from maskgit_lab.data.folders import image_folder
from maskgit_lab.data.pictures import PictureArrays, PictureFiles
from maskgit_lab.data.source import Unreadable
from maskgit_lab.data.survey import check_limit, find_unreadable, names_of
from maskgit_lab.data.views import Framing, Views
from maskgit_lab.errors import UserError
from picture_files import FRAMING, picture


def test_the_held_out_part_of_a_folder_is_always_the_same(folder):
    data, again = (image_folder(str(folder), test_fraction=0.25, **FRAMING) for _ in range(2))
    assert (len(data.train), len(data.test), list(data.class_names)) == (9, 3, ["cat", "dog"])
    names = {data.train.name(i) for i in range(9)} | {data.test.name(i) for i in range(3)}
    assert len(names) == 12 and data.fingerprint == again.fingerprint
    image, label = data.train[0]
    assert image.shape == (3, 8, 8) and image.min() >= 0 and image.max() <= 1 and label.dtype == torch.int64
    other = image_folder(str(folder), test_fraction=0.25, **FRAMING | {"size": 16})
    assert other.fingerprint != data.fingerprint


def test_views_depend_only_on_the_image_the_view_and_the_seed(folder):
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
    assert torch.allclose(middle[:, :, 1:], torch.tensor(200 / 255))
    assert torch.allclose(middle[:, :, 0], torch.tensor(100 / 255))
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
    (folder / "dog" / "text.png").write_text("not a picture")
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
    (folder / "dog" / "text.png").write_text("not a picture")
    data = image_folder(str(folder), **FRAMING)
    assert find_unreadable(data.train, 2, lambda n: None) == find_unreadable(data.train, 0, lambda n: None)


def test_a_few_images_are_spread_over_the_data(folder):
    data = image_folder(str(folder), test_fraction=0.25, **FRAMING)
    few = data.take(3)
    assert (len(few.train), len(few.test)) == (3, 3) and few.fingerprint != data.fingerprint
    assert [few.train.name(i) for i in range(3)] == [data.train.name(i) for i in (0, 3, 6)]
    assert len(data.take(1000).train) == 9
