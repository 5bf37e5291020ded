"""One picture of a user's, of every kind: converted by a fixed rule, which is named, or refused in a sentence."""

import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from maskgit_lab.data.opening import open_mask, open_picture, pictures_in, size_of
from maskgit_lab.errors import UserError
from picture_files import picture, png

RGB = picture(size=(6, 4))


def with_alpha(alpha: int) -> Image.Image:
    image = RGB.copy()
    image.putalpha(alpha)
    return image


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def saved(image: Image.Image, path, **options):
    image.save(path, **options)
    return path


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


LAB = Image.merge("LAB", picture(size=(6, 4)).split())
DEEP = (np.arange(24).reshape(4, 6) * 2570).astype(np.uint16)
# What is saved, what is said of it, and what it becomes.
KINDS = {
    "rgb.png": (RGB, (), RGB),
    "grey.png": (RGB.convert("L"), ("grey made RGB",), RGB.convert("L")),
    "black_and_white.png": (RGB.convert("1"), ("grey made RGB",), RGB.convert("1")),
    "palette.png": (RGB.convert("P"), ("palette made RGB",), RGB.convert("P")),
    "opaque.png": (with_alpha(255), (), RGB),
    "clear.png": (with_alpha(0), ("transparency laid over white",), Image.new("RGB", (6, 4), "white")),
    "lab.tiff": (LAB, ("LAB made RGB",), LAB),
    "cmyk.tiff": (RGB.convert("CMYK"), ("CMYK made RGB without its colour profile",), RGB.convert("CMYK")),
    "deep.png": (
        Image.fromarray(DEEP),
        ("16 bits made 8", "grey made RGB"),
        Image.fromarray(np.rint(DEEP / 257).astype(np.uint8)),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_becomes_rgb_and_says_how(tmp_path, name):
    image, said, expected = KINDS[name]
    opened = open_picture(saved(image, tmp_path / name))
    assert opened.conversions == said and (opened.pixels == pixels(expected)).all()
    assert size_of(tmp_path / name) == (4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_a_picture_is_turned_upright_before_a_box_is_read(tmp_path, orientation, suffix):
    path = saved(RGB, tmp_path / f"turned.{suffix}", exif=exif(orientation))
    opened = open_picture(path)
    with Image.open(path) as image:
        assert (opened.pixels == pixels(ImageOps.exif_transpose(image))).all()
    assert opened.pixels.shape[1:] == size_of(path) and len(opened.conversions) == (orientation > 1)


def test_16_bits_of_colour_are_said_and_only_a_profile_of_rgb_is_kept(tmp_path):
    (tmp_path / "deep.png").write_bytes(png(6, 4, 16, b"".join(b"\0" + bytes([200, 7] * 18) for _ in range(4))))
    opened = open_picture(tmp_path / "deep.png")
    assert opened.conversions == ("16 bits made 8",) and (opened.pixels == 200).all()
    assert open_picture(saved(RGB, tmp_path / "a.png", icc_profile=b"profile")).profile == b"profile"
    assert open_picture(saved(RGB.convert("CMYK"), tmp_path / "a.tiff", icc_profile=b"profile")).profile is None


@pytest.mark.parametrize("kind", [2, 7])  # text, and bytes of no kind
def test_an_orientation_that_is_no_number_is_none(tmp_path, kind):
    data = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4sI", 0x0112, kind, 4, b"abc\0", 0)
    opened = open_picture(saved(RGB, tmp_path / "a.png", exif=data))
    assert (opened.pixels == pixels(RGB)).all() and not opened.conversions


@pytest.mark.parametrize("value", [-1, 2**16])
def test_more_than_16_bits_are_refused(tmp_path, value):
    path = saved(Image.fromarray(np.full((4, 6), value, np.int32)), tmp_path / "deeper.tiff")
    with pytest.raises(UserError, match="has pixels beyond 16 bits, whose range is not known"):
        open_picture(path)


def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # nobody writes to it: whoever reads waits forever
    for opener in (open_picture, size_of, open_mask):
        with pytest.raises(UserError, match="is not a regular file"):
            opener(tmp_path / "pipe.png")


def test_what_is_no_single_picture_is_refused(tmp_path):
    saved(RGB, tmp_path / "moving.webp", save_all=True, append_images=[picture(1, (6, 4))])
    (tmp_path / "large.png").write_bytes(png(10_000, 10_000, 8, b"\0"))
    (tmp_path / "bomb.png").write_bytes(png(60_000, 60_000, 8, b"\0"))
    for name, sentence in {
        "moving.webp": "has 2 frames",
        "large.png": "has more than 67,108,864 pixels, and is not decoded",
        "bomb.png": "has more than 67,108,864 pixels, and is not decoded",
        "absent.png": "does not exist",
    }.items():
        for opener in (open_picture, size_of):
            with pytest.raises(UserError, match=sentence):
                opener(tmp_path / name)


def test_a_mask_is_what_is_not_black(tmp_path):
    values = np.zeros((4, 6), np.uint8)
    values[1, 2:4] = 1, 255
    hole = torch.from_numpy(values > 0)
    for name, image in {
        "grey.png": Image.fromarray(values),
        "palette.png": Image.fromarray(values).convert("P"),
        "deep.png": Image.fromarray(values.astype(np.uint16)),
        "opaque.png": Image.merge("LA", [Image.fromarray(values), Image.new("L", (6, 4), 255)]),
        "blue.png": Image.merge("RGB", [Image.new("L", (6, 4))] * 2 + [Image.fromarray(values)]),
    }.items():
        mask = open_mask(saved(image, tmp_path / name))
        assert (mask.hole == hole).all() and not mask.conversions, name


def test_in_a_mask_that_is_a_jpeg_nearly_black_is_black(tmp_path):
    values = np.full((16, 16), 9, np.uint8)
    values[:, 8:] = 240
    mask = open_mask(saved(Image.fromarray(values), tmp_path / "mask.jpg"))
    assert (mask.hole == torch.from_numpy(values > 127)).all() and "a JPEG" in mask.conversions[0]
    with pytest.raises(UserError, match="all black"):
        open_mask(saved(Image.fromarray(values[:, :8]), tmp_path / "dark.jpg"))


def test_the_pictures_of_a_folder_are_found_at_any_depth(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/c.JPG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.as_posix() for path in pictures_in(tmp_path)] == ["a.png", "b/c.JPG"]


def test_a_link_is_followed_once_and_never_to_a_folder_that_holds_it(tmp_path):
    for name in ("in/a.png", "else/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for name in ("link", "other"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "else")
    for name, above in (("back", tmp_path / "in"), ("above", tmp_path), ("self", "self")):
        (tmp_path / "else" / name).symlink_to(above)
    assert [path.as_posix() for path in pictures_in(tmp_path / "in")] == ["a.png", "link/b.png"]
