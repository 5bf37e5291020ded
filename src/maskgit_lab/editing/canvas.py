"""The canvas of an edit: a picture with margins around it, and the grid of tokens that covers both.

The grid is aligned with the picture's upper left corner and extends in all directions, so that the picture has the same
tokens as without margins. If the picture is resized for the model, a cell need not be a whole number of its pixels.

Shapes: H x W pixels of the canvas, h x w tokens of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, UInt8
from PIL import Image
from torch import Tensor

from maskgit_lab.errors import UserError

FIT = ("resize", "window")
MOST_PIXELS = 2**26  # of a canvas, about 67 million: more is a typing error, or does not fit into memory


class Margins(NamedTuple):
    """Pixels that are added around a picture, all of them in the hole."""

    left: int = 0
    right: int = 0
    up: int = 0
    down: int = 0


class Region(NamedTuple):
    """A rectangle of tokens: the first row and column, and those after the last."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, grid: Tensor) -> Tensor:
        """Its part of a grid (..., h, w)."""
        return grid[..., self.top : self.bottom, self.left : self.right]

    def with_marked(self, marked_hw: Bool[Tensor, "h w"]) -> Region:
        """The smallest region that contains this one and all marked tokens of the grid."""
        rows, columns = (marked_hw.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
        return Region(
            min(self.top, *rows),
            min(self.left, *columns),
            max(self.bottom - 1, *rows) + 1,
            max(self.right - 1, *columns) + 1,
        )


@dataclass(frozen=True)
class Axis:
    """One direction of a canvas: height or width.

    Attributes:
        before: pixels of the margin before the picture.
        picture: pixels of the picture.
        after: pixels of the margin after it.
        model: pixels of the picture as the model sees it, a multiple of `cell`.
        cell: pixels of a token, as the model sees it.
        resized: whether the picture is resized from `picture` to `model` pixels; otherwise it is padded to them.
    """

    before: int
    picture: int
    after: int
    model: int
    cell: int
    resized: bool

    @property
    def pixels(self) -> int:
        """Pixels of the canvas."""
        return self.before + self.picture + self.after

    @property
    def _ratio(self) -> tuple[int, int]:
        """Pixels of the canvas per pixel of the model, as a fraction."""
        return (self.picture, self.model) if self.resized else (1, 1)

    @property
    def cells_before(self) -> int:
        """Cells of the grid before the picture; the first may begin before the canvas does."""
        over, under = self._ratio
        return -(-self.before * under // (over * self.cell))

    @property
    def cells_of_picture(self) -> int:
        """Cells that the picture covers."""
        return self.model // self.cell

    @property
    def cells(self) -> int:
        """Cells of the grid."""
        over, under = self._ratio
        # A padded picture ends before its last cell does.
        after = self.picture + self.after if not self.resized else self.after
        covered = 0 if not self.resized else self.cells_of_picture
        return self.cells_before + max(self.cells_of_picture, covered + -(-after * under // (over * self.cell)))

    def position(self, cell: int) -> float:
        """Where a cell begins, in pixels of the canvas."""
        over, under = self._ratio
        return self.before + (cell - self.cells_before) * self.cell * over / under

    def spans(self) -> list[tuple[int, int]]:
        """The first pixel of each cell and the one after its last; neighbours may share a pixel."""
        over, under = self._ratio
        offsets = [(i - self.cells_before) * self.cell * over for i in range(self.cells + 1)]
        return [(self.before + start // under, self.before - (-stop // under)) for start, stop in pairwise(offsets)]


@dataclass(frozen=True)
class Canvas:
    """A picture with its margins, and the grid of tokens over it."""

    vertical: Axis
    horizontal: Axis

    @classmethod
    def of(cls, height: int, width: int, margins: Margins, model: tuple[int, int], cell: int, fit: str) -> Canvas:
        """The canvas of a picture.

        Args:
            height: of the picture, in pixels.
            width: of the picture.
            margins: around it.
            model: height and width of the model's images, in pixels.
            cell: pixels of a token.
            fit: `resize`: the picture's shorter side is resized to the model's, and the longer one to the nearest
                multiple of a cell; `window`: the picture keeps its resolution, and the model sees parts of it.

        Raises:
            UserError: the picture is too small, or the canvas too large.
        """
        if min(height, width) < cell:
            raise UserError(
                f"the picture has {width} x {height} pixels, less than a token of the model, which is {cell} x {cell}: "
                "give a larger one"
            )
        if fit == "window":
            down, right = (
                Axis(a, size, b, -(-size // cell) * cell, cell, resized=False)
                for a, size, b in ((margins.up, height, margins.down), (margins.left, width, margins.right))
            )
        else:
            scale = max(model[0] / height, model[1] / width)
            down, right = (
                Axis(a, size, b, max(least, round(size * scale / cell) * cell), cell, resized=True)
                for a, size, b, least in (
                    (margins.up, height, margins.down, model[0]),
                    (margins.left, width, margins.right, model[1]),
                )
            )
        canvas = cls(down, right)
        canvas._check(model, fit)
        return canvas

    def _check(self, model: tuple[int, int], fit: str) -> None:
        height, width = self.size
        seen = self.vertical.cells * self.vertical.cell, self.horizontal.cells * self.horizontal.cell
        # Without the margins, since the tokenizer sees only the picture.
        if fit == "window" and (self.vertical.model < model[0] or self.horizontal.model < model[1]):
            raise UserError(
                f"fit=window needs at least the {model[1]} x {model[0]} pixels that the model sees at once, and the "
                f"picture has {self.horizontal.picture} x {self.vertical.picture}: leave fit out, so that it is resized"
            )
        if max(height * width, seen[0] * seen[1]) > MOST_PIXELS:
            raise UserError(
                f"the result would have {width} x {height} pixels, and the model would work on {seen[1]} x {seen[0]}: "
                f"at most {MOST_PIXELS:,} are possible, so give a smaller picture or less room around it"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.vertical.pixels, self.horizontal.pixels

    @property
    def cell(self) -> float:
        """Height of a token in pixels."""
        return self.vertical.position(1) - self.vertical.position(0)

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width in tokens."""
        return self.vertical.cells, self.horizontal.cells

    @property
    def picture(self) -> tuple[slice, slice]:
        """The rows and columns of pixels that the picture occupies."""
        return tuple(slice(a.before, a.before + a.picture) for a in (self.vertical, self.horizontal))  # type: ignore[return-value]

    @property
    def region_of_picture(self) -> Region:
        """The tokens of the picture."""
        down, right = self.vertical, self.horizontal
        return Region(
            down.cells_before,
            right.cells_before,
            down.cells_before + down.cells_of_picture,
            right.cells_before + right.cells_of_picture,
        )

    def with_margins(self, pictures: UInt8[Tensor, "B 3 y x"]) -> UInt8[Tensor, "B 3 H W"]:
        """Pictures on the canvas, black around them."""
        canvas = torch.zeros(*pictures.shape[:2], *self.size, dtype=torch.uint8)
        canvas[:, :, *self.picture] = pictures
        return canvas

    def hole(self, hole_yx: Bool[Tensor, "y x"]) -> Bool[Tensor, "H W"]:
        """A hole in the picture, together with all margins, on the canvas."""
        hole_HW = torch.ones(self.size, dtype=torch.bool)
        hole_HW[self.picture] = hole_yx
        return hole_HW

    def for_model(self, picture: UInt8[Tensor, "3 y x"]) -> UInt8[Tensor, "3 Y X"]:
        """A picture as the model sees it: resized like the training data, or padded to whole cells."""
        height, width = self.vertical.model, self.horizontal.model
        if not self.vertical.resized:
            rows, columns = (
                torch.arange(size).clamp(max=had - 1)
                for size, had in zip((height, width), picture.shape[1:], strict=True)
            )
            return picture[:, rows[:, None], columns]
        return picture if picture.shape[1:] == (height, width) else resized(picture, (height, width))

    def from_model(self, image: UInt8[Tensor, "3 Y X"], region: Region) -> tuple[tuple[slice, slice], Tensor]:
        """The pixels of the canvas that lie within a region, and the part of the region's image that covers them.

        Args:
            image: the decoded tokens of the region.
            region: the tokens.

        Returns:
            The rows and columns of pixels, and the image (3, rows, columns).
        """
        rows, y0, y1 = _within(self.vertical, region.top, region.bottom)
        columns, x0, x1 = _within(self.horizontal, region.left, region.right)
        size = rows.stop - rows.start, columns.stop - columns.start
        whole = (y0, x0, y1, x1) == (0, 0, *image.shape[1:])
        if whole and size == tuple(image.shape[1:]):
            return (rows, columns), image
        if not self.vertical.resized:
            return (rows, columns), image[:, int(y0) : int(y1), int(x0) : int(x1)]
        return (rows, columns), resized(image, size, (x0, y0, x1, y1))


def resized(
    image: UInt8[Tensor, "3 y x"], size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> UInt8[Tensor, "3 Y X"]:
    """An image, or a part of it, resized bicubically like the training data.

    Args:
        image: to be resized.
        size: height and width.
        box: the part as left, top, right and bottom, which need not lie between pixels.
    """
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    made = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC, box)
    return torch.frombuffer(bytearray(made.tobytes()), dtype=torch.uint8).view(*size, 3).permute(2, 0, 1).contiguous()


def _within(axis: Axis, first: int, after: int) -> tuple[slice, float, float]:
    """The pixels of the canvas that lie wholly within some cells, and where these are in an image of the cells."""
    over, under = axis._ratio
    start, stop = axis.position(first), axis.position(after)
    low, high = max(0, -int(-start // 1)), min(axis.pixels, int(stop // 1))
    return (
        slice(low, high),
        (low - start) * under / over,
        min((high - start) * under / over, (after - first) * axis.cell),
    )
