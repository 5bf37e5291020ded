"""External images: in folders and in .npz files."""

import numpy as np
import pytest
import torch
from PIL import Image

from maskgit_lab.data.external import ArrayImages, open_images
from maskgit_lab.errors import UserError
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.sampling.drawing import draw_grid


def damage(path, array, position, value):
    """Writes an .npz file with a different byte at a position of its first array, whose checksum then differs."""
    np.savez(path, arr_0=array)
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"\x93NUMPY") + position] = value
    path.write_bytes(bytes(whole))


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)


def pixels(images):
    return torch.stack([to_uint8(images[i][0]) for i in range(len(images))]).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_adm_sample_files_are_read(tmp_path, array, save):
    save(tmp_path / "s.npz", arr_0=array, arr_1=np.array([3, 1, 4, 1, 5]))
    images = open_images(tmp_path / "s.npz", "samples")
    assert (pixels(images) == array).all() and images.labels.tolist() == [3, 1, 4, 1, 5]
    assert images.size == (6, 8) and len(images) == 5


def test_uncompressed_images_are_memory_mapped(tmp_path, array):
    np.savez(tmp_path / "s.npz", array)
    assert isinstance(ArrayImages(tmp_path / "s.npz").array, np.memmap)


def test_floats_are_rounded(tmp_path, array):
    np.savez(tmp_path / "s.npz", arr_0=array / np.float32(255))
    assert (pixels(open_images(tmp_path / "s.npz", "samples")) == array).all()


def test_a_folder_is_read_in_name_order_without_its_other_files(tmp_path, array):
    for i, place in enumerate(("a/2", "a/1", "b/0", "c", "b/9")):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.fromarray(array[i]).save(tmp_path / f"{place}.png")
    (tmp_path / "notes.txt").write_text("mine")
    images = open_images(tmp_path, "samples")
    assert (pixels(images) == array[[1, 0, 2, 4, 3]]).all() and images.labels.tolist() == [0] * 5
    assert (pixels(images.subset([4, 1])) == array[[3, 0]]).all()


def test_the_grid_that_sample_draws_is_no_image_but_another_file_of_its_name_is(tmp_path, array):
    for i in range(3):
        Image.fromarray(array[i]).save(tmp_path / f"{i}.png")
    draw_grid(torch.zeros(1, 1, 3, 6, 8, dtype=torch.uint8), tmp_path / "grid.png", title="Samples", row_names=["a"])
    assert len(open_images(tmp_path, "samples")) == 3
    Image.fromarray(array[3]).save(tmp_path / "grid.png")
    assert len(open_images(tmp_path, "samples")) == 4
    Image.fromarray(array[3].repeat(2, axis=0)).save(tmp_path / "grid.png")
    with pytest.raises(UserError, match=r"grid\.png has 8 x 12 pixels"):
        open_images(tmp_path, "samples")


@pytest.mark.parametrize("classes", [np.arange(5.0), np.arange(4), np.array(list("abcde"))])
def test_classes_that_are_not_one_integer_per_image_are_ignored(tmp_path, array, classes):
    np.savez(tmp_path / "s.npz", arr_0=array, arr_1=classes)
    assert open_images(tmp_path / "s.npz", "samples").classes is None


def test_fortran_ordered_arrays_are_read(tmp_path, array):
    np.savez(tmp_path / "s.npz", arr_0=np.asfortranarray(array))
    assert (pixels(open_images(tmp_path / "s.npz", "samples")) == array).all()


def test_the_fingerprint_depends_on_the_images(tmp_path, array):
    np.savez(tmp_path / "a.npz", arr_0=array)
    np.savez(tmp_path / "b.npz", arr_0=255 - array)
    a, b = (open_images(tmp_path / f"{name}.npz", "samples").fingerprint() for name in "ab")
    assert a != b


WRONG = {
    "absent": (lambda p, a: None, "samples=.* does not exist"),
    "no images": (lambda p, a: p.mkdir(), "has no images"),
    "text": (lambda p, a: p.write_text("mine"), "not a valid .npz file"),
    "another array": (lambda p, a: np.savez(p, images=a), "has no array arr_0"),
    "flat": (lambda p, a: np.savez(p, arr_0=a[0]), r"of shape \(6, 8, 3\)"),
    "channels first": (lambda p, a: np.savez(p, arr_0=a.transpose(0, 3, 1, 2)), "give images as uint8 of shape"),
    "empty": (lambda p, a: np.savez(p, arr_0=a[:0]), "give images as uint8 of shape"),
    "integers": (lambda p, a: np.savez(p, arr_0=a.astype(np.int64)), "of type int64"),
    "NaN": (lambda p, a: np.savez(p, arr_0=np.full(a.shape, np.nan)), "contains NaN or infinite values in image 0"),
    "0 to 255": (lambda p, a: np.savez(p, arr_0=a.astype(np.float32)), "floats from .* in image 0: give uint8"),
    "-1 to 1": (lambda p, a: np.savez(p, arr_0=a / 127.5 - 1), "floats from -1"),
    "a future version": (lambda p, a: damage(p, a, 6, 9), "not a valid .npz file"),
    "another byte": (lambda p, a: damage(p, a, 200, 77), "not a valid .npz file"),
    "objects": (lambda p, a: np.savez(p, arr_0=np.array([{}, {}])), "not a valid .npz file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_unusable_files_are_refused_in_one_sentence(tmp_path, array, what):
    make, sentence = WRONG[what]
    make(tmp_path / "s.npz", array)
    with pytest.raises(UserError, match=sentence):
        open_images(tmp_path / "s.npz", "samples")


def test_images_of_mixed_sizes_and_damaged_ones_are_named(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 5)).save(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"b.png has 4 x 5 pixels, but .*a.png has 4 x 4"):
        open_images(tmp_path, "samples")
    (tmp_path / "b.png").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"b.png cannot be read"):
        open_images(tmp_path, "samples")


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "s.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"neither a folder nor an .npz file"):
        open_images(tmp_path / "s.zip", "samples")
