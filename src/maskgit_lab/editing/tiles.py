"""The tokenizer on pictures of other sizes than the model's images, in tiles of that size.

Its convolutions would accept a picture of any size, but its normalisation is over the whole picture, so the
surroundings of an object would change its brightness.

Shapes: B images, Y x X pixels, y x x tokens, h x w tokens of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.sampling.pipeline import Pipeline


def encode(pipeline: Pipeline, images: UInt8[Tensor, "B 3 Y X"], batch_size: int) -> Int64[Tensor, "B y x"]:
    """The tokens of images, each from the tile in which it is closest to the middle.

    Args:
        pipeline: encodes.
        images: at least as large as the pipeline's, and a whole number of tokens.
        batch_size: tiles encoded at once.
    """
    cell = pipeline.tokenizer.downsample
    rows, columns = (_starts(n // cell, size) for n, size in zip(images.shape[2:], pipeline.grid, strict=True))
    height, width = pipeline.size
    tiles = {
        (y, x): pipeline.encode(images[:, :, y * cell :, x * cell :][:, :, :height, :width] / 255, batch_size)
        for y in rows
        for x in columns
    }
    tokens = torch.empty(len(images), images.shape[2] // cell, images.shape[3] // cell, dtype=torch.int64)
    for y, top, bottom in _nearest(rows, tokens.shape[1], pipeline.grid[0]):
        for x, left, right in _nearest(columns, tokens.shape[2], pipeline.grid[1]):
            tile = tiles[y, x].unflatten(1, pipeline.grid)
            tokens[:, top:bottom, left:right] = tile[:, top - y : bottom - y, left - x : right - x]
    return tokens


def decode(pipeline: Pipeline, tokens: Int64[Tensor, "B y x"], batch_size: int) -> Iterator[UInt8[Tensor, "3 Y X"]]:
    """Decodes tokens to images, one by one; overlapping tiles fade into each other.

    Args:
        pipeline: decodes.
        tokens: at least as large as the pipeline's grid, without the mask token.
        batch_size: tiles decoded at once.
    """
    rows, columns = (_starts(n, size) for n, size in zip(tokens.shape[1:], pipeline.grid, strict=True))
    places = [(y, x) for y in rows for x in columns]
    at_once = max(1, batch_size // len(places))
    for some in tokens.split(at_once):
        tiles = torch.stack([some[:, y:, x:][:, : pipeline.grid[0], : pipeline.grid[1]] for y, x in places], dim=1)
        made = pipeline.decode(tiles.flatten(2).flatten(0, 1), batch_size).unflatten(0, tiles.shape[:2])
        yield from to_uint8(made[:, 0] if len(places) == 1 else _faded(made, places, pipeline.tokenizer.downsample))


def _faded(tiles: Float[Tensor, "B tiles 3 H W"], places: list[tuple[int, int]], cell: int) -> Float[Tensor, "B 3 Y X"]:
    """The mean of all tiles, weighted by the distance from the border of a tile."""
    height, width = tiles.shape[-2:]
    ramps = [torch.arange(1, n + 1).minimum(torch.arange(n, 0, -1)).float() for n in (height, width)]
    weight_HW = ramps[0][:, None] * ramps[1]
    bottom, right = (cell * max(place[i] for place in places) + n for i, n in enumerate((height, width)))
    total, weights = torch.zeros(len(tiles), 3, bottom, right), torch.zeros(bottom, right)
    for i, (y, x) in enumerate(places):
        part = slice(y * cell, y * cell + height), slice(x * cell, x * cell + width)
        total[:, :, *part] += weight_HW * tiles[:, i]
        weights[part] += weight_HW
    return total / weights


def _starts(length: int, size: int) -> list[int]:
    """Where tiles begin: each half a tile after the one before, and the last at the end."""
    return sorted({*range(0, length - size, max(1, size // 2)), length - size})


def _nearest(starts: list[int], length: int, size: int) -> list[tuple[int, int, int]]:
    """For each tile, the first of the tokens that are closest to its middle, and the one after the last."""
    middles = [(a + b + size) // 2 for a, b in pairwise(starts)]
    return list(zip(starts, [0, *middles], [*middles, length], strict=True))
