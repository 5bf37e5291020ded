"""Edited pictures as PNG files that say how they were made.

The settings are a text chunk, `maskgit_lab`, as JSON; `how_it_was_made` reads them back. No time and no place is among
them, so that the same command makes the same bytes.

Shapes: H x W pixels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from maskgit_lab.errors import UserError

CHUNK = "maskgit_lab"  # the keyword of the text
END = b"\0\0\0\0IEND\xaeB`\x82"  # of every PNG file that is whole


def write_picture(
    pixels: UInt8[Tensor, "3 H W"], path: Path, made: Mapping[str, Any], profile: bytes | None = None
) -> None:
    """Writes a picture, whole or not at all.

    Args:
        pixels: of the picture.
        path: of the file, whose folder is made if it is absent.
        made: how it was made, in plain values.
        profile: the ICC profile of its colours.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PngInfo()
    text.add_text(CHUNK, json.dumps(made, sort_keys=True))
    partial = path.with_name(f".{os.getpid()}.partial")
    try:
        image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
        image.save(partial, format="PNG", pnginfo=text, icc_profile=profile)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def how_it_was_made(path: Path | str) -> dict[str, Any]:
    """What `edit.py` wrote in a picture.

    ```python
    how_it_was_made("edits/cat-0.png")["command"]  # makes it again
    ```

    Returns:
        `command`: that makes it again; `settings`: all that it depends on; `class`, `class_name`, `class_from`; `seed`:
        of this variant; `variant`: its number; `input` and `sha256`: the picture's name and the hash of its file;
        `model`: the hash of the weights; `code`: of the code; `version`: of the suite.

    Raises:
        UserError: it is not a picture that `edit.py` wrote.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:  # the text stands before the pixels, which are not decoded
            found = json.loads(image.info[CHUNK])
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, RecursionError) as error:
        raise UserError(f"{path} is not a picture of edit.py: give one that it has written") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is not a picture of edit.py: give one that it has written")
    return found


def is_whole(path: Path) -> bool:
    """Whether a PNG file was written to its end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < len(END):
            return False
        file.seek(-len(END), os.SEEK_END)
        return file.read() == END
