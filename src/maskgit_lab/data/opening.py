"""One picture of a user's, of whatever kind, as 8-bit RGB; and a mask.

What a picture cannot keep on the way is converted by a fixed rule and named: it is turned upright as its EXIF data say
(so that a box means what a viewer shows), grey values, palettes and other colours become RGB (CMYK without its colour
profile), 16 bits become 8, and transparency is laid over white. Everything is checked before pixels are decoded.

Shapes: H x W pixels of the upright picture.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from maskgit_lab.data.pictures import to_rgb
from maskgit_lab.data.walking import images_below
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import file_sha256

MOST_PIXELS = 2**26  # about 67 million; a decompression bomb has more
# What Pillow reads by itself: for others it starts programs, or they have no pixels.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
LOSSY = ("JPEG", "MPO")  # in which black is not quite black
SEVERAL = ("MPO",)  # of which the further frames are previews, or for other eyes
COLOUR = ("RGB", "RGBA", "RGBa", "RGBX")  # modes of Pillow in which colours are what they will be
# What others are converted from, if their names do not say it.
CONVERTED = {
    **dict.fromkeys(("1", "L", "LA", "La"), "grey made RGB"),
    **dict.fromkeys(("P", "PA"), "palette made RGB"),
    "CMYK": "CMYK made RGB without its colour profile",
}
# By the value of EXIF's orientation: what turns a picture upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ON_ITS_SIDE = (5, 6, 7, 8)
TURNED = ("TIFF",)  # by Pillow itself


class Opened(NamedTuple):
    """A picture."""

    pixels: UInt8[Tensor, "3 H W"]
    conversions: tuple[str, ...]  # what was converted, in words
    sha256: str  # of the file
    profile: bytes | None  # the ICC profile of its colours, if they are RGB


class Mask(NamedTuple):
    """A hole in pictures of its size."""

    hole: Bool[Tensor, "H W"]
    sha256: str  # of the file
    conversions: tuple[str, ...]


def open_picture(path: Path, key: str = "image") -> Opened:
    """A picture in 8-bit RGB.

    Args:
        path: of its file.
        key: the setting that names it, for errors.

    Raises:
        UserError: it cannot be read, has several frames or too many pixels, or is of a kind that cannot be converted.
    """
    with _opened(path, key) as picture:
        turned = _orientation(picture)
        pixels, conversions = _converted(picture, path, key)
        if turned in UPRIGHT:
            conversions = [*conversions, "turned upright as its EXIF says"]
        pixels = _upright(pixels, picture.format, turned)
        profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA") else None
        tensor = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()
        return Opened(tensor, tuple(conversions), file_sha256(path), profile)


def size_of(path: Path, key: str = "image") -> tuple[int, int]:
    """Height and width of a picture, of which only the header is read.

    Raises:
        UserError: as in `open_picture`, as far as the header says it.
    """
    with _opened(path, key) as picture:
        _check_kind(picture, path, key)
        width, height = picture.size
        is_turned = _orientation(picture) in ON_ITS_SIDE and picture.format not in TURNED
        return (width, height) if is_turned else (height, width)


def open_mask(path: Path) -> Mask:
    """A mask of `mask=FILE`: every pixel that is not black is the hole; in a JPEG, every one brighter than half.

    Raises:
        UserError: it cannot be read, all of it or nothing of it is the hole, or some of it is transparent.
    """
    with _opened(path, "mask") as picture:
        if _is_transparent(picture):
            raise UserError(
                f"mask={path} is transparent in parts, which may mean the hole or the rest: give one without "
                "transparency, white in the hole and black elsewhere"
            )
        _check_kind(picture, path, "mask")
        lossy, turned = picture.format in LOSSY, _orientation(picture)
        image = picture if picture.mode.startswith("I") else picture.convert("RGB")
        values = np.array(_upright(image, picture.format, turned))
        hole_HW = torch.from_numpy((values if values.ndim == 2 else values.max(axis=2)) > (127 if lossy else 0))
    shares = {True: "white: nothing of the picture is left", False: "black: there is no hole in it"}
    if bool(hole_HW.all()) or not bool(hole_HW.any()):
        raise UserError(f"mask={path} is all {shares[bool(hole_HW.any())]}; give one that is white only in the hole")
    said = ("a JPEG, in which pixels brighter than half are the hole",) if lossy else ()
    return Mask(hole_HW, file_sha256(path), said)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder at any depth, by the ends of their names, in the order of their paths below it.

    Raises:
        UserError: there are none.
    """
    found = sorted(Path(path).relative_to(folder) for path in images_below([folder])[0])
    if not found:
        raise UserError(f"image={folder} has no pictures: give a folder that has ({', '.join(IMG_EXTENSIONS)})")
    return found


@contextmanager
def _opened(path: Path, key: str) -> Iterator[Image.Image]:
    """The picture of a file, of which only the header is read until pixels are asked for."""
    if path.is_dir():
        raise UserError(f"{key}={path} is a folder: give a file")
    if not path.exists():
        raise UserError(f"{key}={path} does not exist: give an existing picture")
    if not path.is_file():  # a pipe or a device, which could be read forever
        raise UserError(f"{key}={path} is not a regular file: give a picture file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata and large pictures, which are refused here
            with Image.open(path, formats=FORMATS) as picture:
                _check_size(picture.size, path, key)
                _check_frames(picture, path, key)
                yield picture
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, key) from error
    except Exception as error:  # Pillow raises almost anything on a damaged file
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        reason = "no format that is known" if isinstance(error, UnidentifiedImageError) else reason
        raise UserError(
            f"{key}={path} cannot be read as a picture ({reason}): give a PNG, JPEG, WebP, TIFF, BMP or PPM file"
        ) from error


def _check_size(size: tuple[int, int], path: Path, key: str) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise _too_large(path, key)


def _too_large(path: Path, key: str) -> UserError:
    return UserError(f"{key}={path} has more than {MOST_PIXELS:,} pixels, and is not decoded: give a smaller one")


def _check_frames(picture: Image.Image, path: Path, key: str) -> None:
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format not in SEVERAL:
        raise UserError(f"{key}={path} has {frames} frames: give a picture of one, such as one frame as a PNG")


def _check_kind(picture: Image.Image, path: Path, key: str) -> None:
    if picture.mode == "F":
        raise UserError(f"{key}={path} has floating-point pixels, whose range is not known: save it with 8 bits")


def _orientation(picture: Image.Image) -> int:
    """EXIF's, from what stands before the pixels, which a PNG's own method would decode."""
    value = Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) else 1  # damaged


def _upright(picture: Image.Image, kind: str | None, orientation: int) -> Image.Image:
    if orientation not in UPRIGHT or kind in TURNED:
        return picture
    return picture.transpose(UPRIGHT[orientation])


def _is_transparent(picture: Image.Image) -> bool:
    """Whether any pixel is."""
    if not picture.has_transparency_data or picture.mode.startswith("I"):
        return False
    return int(np.array(picture.convert("RGBA"))[..., 3].min()) < 255


def _converted(picture: Image.Image, path: Path, key: str) -> tuple[Image.Image, list[str]]:
    """A picture in RGB, and what was converted."""
    _check_kind(picture, path, key)
    deep = picture.mode.startswith("I") or ";16" in str(getattr(picture, "tile", ""))
    if picture.mode == "I" and bool(((values := np.asarray(picture)) != values.clip(0, 2**16 - 1)).any()):
        raise UserError(f"{key}={path} has pixels beyond 16 bits, whose range is not known: save it with 8 bits")
    said = ["16 bits made 8"] if deep else []
    if _is_transparent(picture):
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        return white.convert("RGB"), [*said, "transparency laid over white"]
    if picture.mode not in COLOUR:
        mode = "L" if picture.mode.startswith("I") else picture.mode
        said.append(CONVERTED.get(mode, f"{mode} made RGB"))
    return to_rgb(picture), said
