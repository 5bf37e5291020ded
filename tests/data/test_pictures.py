"""Pictures of every kind on disk: read, framed, or reported as unreadable."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from maskgit_lab.data.folders import image_folder
from maskgit_lab.data.pictures import PictureArrays, PictureFiles
from maskgit_lab.data.source import Unreadable, as_many_of_each
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
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert mirrored == [bool((v + mirrored[0]) % 2) for v in range(40)]  # they take turns


def test_half_of_the_pictures_are_mirrored_at_any_time():
    tall = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    views = Views(PictureArrays(tall, [0] * 60), Framing(8, None, True, 0))
    for view in range(3):
        assert 15 < sum(torch.equal(views[i, view][0], views[i][0].flip(-1)) for i in range(60)) < 45


def slopes(image):
    """How fast red rises to the right and green downwards, over the middle of an image."""
    middle = image[:, 3:-3, 3:-3]
    return float(middle[0].diff(dim=1).mean()), float(middle[1].diff(dim=0).mean())


def test_crops_are_not_stretched_and_reach_all_of_a_wide_picture():
    ramp = np.zeros((96, 128, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(128), np.arange(96)[:, None]
    views = [Views(PictureArrays(ramp[None], [0]), Framing(32, (0.8, 1.0), False, 0))[0, v][0] for v in range(20)]
    for image in views:
        right, down = slopes(image)
        assert right == pytest.approx(down, rel=0.04)
    lefts = [float(image[0].min() * 255) for image in views]
    assert min(lefts) < 8 and max(lefts) > 24 and len({round(left) for left in lefts}) > 8
    stretched = Views(PictureArrays(ramp[None], [0]), Framing(32, (0.8, 1.0), False, 0, (0.75, 4 / 3)))
    ratios = [right / down for right, down in (slopes(stretched[0, v][0]) for v in range(20))]
    assert min(ratios) < 0.85 and max(ratios) > 1.15


def test_crops_have_the_areas_that_are_asked_for():
    framing = Framing(8, (0.25, 0.64), False, 0, (0.5, 2.0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        boxes = [framing.box(200, 100) for _ in range(200)]
    for top, left, height, width in boxes:
        assert top >= 0 and left >= 0 and top + height <= 100 and left + width <= 200
        share = height * width / (min(200, 100 * width / height) ** 2 * height / width)
        assert 0.23 < share < 0.67 and 0.47 < width / height < 2.1


@pytest.mark.parametrize(
    ("crop_scale", "flip", "n_views"), [([0.8, 1], True, 10), ([0.8, 1], False, 10), (None, True, 2), (None, False, 0)]
)
def test_as_many_views_as_fit_the_augmentation(folder, crop_scale, flip, n_views):
    data = image_folder(str(folder), **FRAMING | {"crop_scale": crop_scale, "flip": flip})
    assert data.train.n_views == data.train.subset([0, 1]).n_views == n_views and data.flip == flip
    for index in range(4):
        views = {data.train[index, v][0].numpy().tobytes() for v in range(n_views)}
        assert len(views) > 4 if crop_scale else len(views) == n_views  # there are few crops of so few pixels
    if not n_views:
        assert torch.equal(data.train[0, 7][0], data.train[0][0])


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


def test_as_many_images_of_each_class_as_others_have():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 3)
    assert as_many_of_each(labels, torch.tensor([2, 0, 0, 0, 1])) == [0, 2, 4, 6, 9]
    assert as_many_of_each(labels, labels[torch.randperm(12)]) == list(range(12))
    assert as_many_of_each(labels, torch.zeros(40, dtype=torch.int64)) == list(range(12))
    short = as_many_of_each(labels, torch.tensor([1] * 5 + [0] * 2))  # two of class 1 are not there
    assert len(short) == 7 and {6, 7, 8} < set(short)
    assert torch.bincount(labels[short]).tolist() == [3, 3, 1]


def test_a_few_images_are_spread_over_the_data(folder):
    data = image_folder(str(folder), test_fraction=0.25, **FRAMING)
    few = data.take(3)
    assert (len(few.train), len(few.test)) == (3, 3) and few.fingerprint != data.fingerprint
    assert [few.train.name(i) for i in range(3)] == [data.train.name(i) for i in (0, 3, 6)]
    assert len(data.take(1000).train) == 9
