"""Pictures of an edit: the grid as it fills, and the input beside the hole and the variants.

Shapes: H x W pixels, y x x tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from maskgit_lab.editing.editor import Edited
from maskgit_lab.editing.tiles import decode
from maskgit_lab.sampling.drawing import MASK_GREY
from maskgit_lab.sampling.pipeline import Pipeline

MOST_FRAMES = 12  # of a filling
LEAST_SIDE, MOST_SIDE = 96, 1024  # pixels of the sides of panels: smaller ones are enlarged by a whole number
GAP, TEXT, MOST_WIDTH = 8, 14, 1600  # pixels
Panel = tuple[str, Tensor]  # a title, and a picture (3, H, W)


def panels_of_steps(pipeline: Pipeline, edited: Edited) -> list[Panel]:
    """The region that the model worked on after some of the steps: what is still masked is grey."""
    (final,) = decode(pipeline, edited.tokens[:1], 1)
    cell, n = pipeline.tokenizer.downsample, len(edited.frames)
    shown = sorted({round(i * (n - 1) / max(1, min(n, MOST_FRAMES) - 1)) for i in range(min(n, MOST_FRAMES))})
    masks = [edited.frames[i] == pipeline.mask_id for i in shown]
    return [
        (f"{i + 1} of {n}", grey_where(final, mask.repeat_interleave(cell, 0).repeat_interleave(cell, 1)))
        for i, mask in zip(shown, masks, strict=True)
    ]


def panels_side_by_side(
    picture: UInt8[Tensor, "3 y x"],
    canvas: UInt8[Tensor, "3 H W"],
    hole: Bool[Tensor, "H W"],
    variants: Sequence[Tensor],
) -> list[Panel]:
    """The picture, the same with the hole in grey, and the variants."""
    made = [(f"variant {k}", variant) for k, variant in enumerate(variants)]
    return [("picture", picture), ("hole", grey_where(canvas, hole)), *made]


def grey_where(picture: UInt8[Tensor, "3 H W"], where: Bool[Tensor, "H W"]) -> UInt8[Tensor, "3 H W"]:
    """A picture with some pixels in grey."""
    return picture.masked_fill(where, MASK_GREY)


def arranged(panels: Sequence[Panel]) -> UInt8[Tensor, "3 H W"]:
    """Panels in rows and one scale, pixel for pixel unless they are small or large, with their titles above them."""
    scale, font = _scale([picture for _, picture in panels]), ImageFont.load_default(TEXT)
    images = [(title, _scaled(picture, scale)) for title, picture in panels]
    places, right, bottom = list[tuple[int, int]](), 0, 0
    x, y, high = GAP, GAP, 0
    for title, image in images:
        wide = max(image.width, round(font.getlength(title)))
        if places and x + wide + GAP > MOST_WIDTH:
            x, y, high = GAP, bottom, 0
        places.append((x, y))
        x, high = x + wide + GAP, max(high, image.height)
        right, bottom = max(right, x), y + TEXT + GAP + high + GAP
    sheet = Image.new("RGB", (right, bottom), "white")
    draw = ImageDraw.Draw(sheet)
    for (title, image), (x, y) in zip(images, places, strict=True):
        draw.text((x, y), title, fill="black", font=font)
        sheet.paste(image, (x, y + TEXT + GAP))
    return torch.from_numpy(np.array(sheet)).permute(2, 0, 1)


def _scale(pictures: Sequence[Tensor]) -> float:
    """A whole number for small pictures, and a fraction for large ones."""
    sides = [side for picture in pictures for side in picture.shape[1:]]
    return max(1, -(-LEAST_SIDE // min(sides))) if max(sides) <= MOST_SIDE else MOST_SIDE / max(sides)


def _scaled(picture: Tensor, scale: float) -> Image.Image:
    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BICUBIC)
