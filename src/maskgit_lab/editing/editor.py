"""Edits of pictures: a trained model fills a hole, given everything around it (MaskGIT, section 4.3).

Shapes: B images, H x W pixels of the result, h x w tokens of the grid over it, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from maskgit_lab.editing.blending import blended
from maskgit_lab.editing.canvas import Canvas, Margins, Region
from maskgit_lab.editing.hiding import hidden
from maskgit_lab.editing.holes import cells_of, grown
from maskgit_lab.editing.options import Options
from maskgit_lab.editing.tiles import decode, encode
from maskgit_lab.editing.windows import Window, plan_windows
from maskgit_lab.errors import UserError
from maskgit_lab.sampling.pipeline import AT_ONCE, Pipeline
from maskgit_lab.seeds import mix_seeds


class Edited(NamedTuple):
    """Edited pictures, on the CPU."""

    pixels: UInt8[Tensor, "B 3 H W"]
    hole: Bool[Tensor, "H W"]  # the pixels that were filled, including those around the picture
    tokens: Int64[Tensor, "B y x"]  # of the region that the model worked on
    region: Region  # those tokens in the grid
    known: int  # tokens of the picture that were known; 0 if `grow` has widened the hole over all of it
    frames: list[Tensor]  # the region (y, x) of the first image after each step, masks included, if requested


class _Work(NamedTuple):
    """What is known before any network runs."""

    canvas: Canvas
    hole_HW: Tensor
    unknown_hw: Tensor
    windows: list[Window]
    region: Region


@dataclass(frozen=True)
class Editor:
    """Edits pictures with a trained model.

    ```python
    editor = Editor(Pipeline.load(RUN_DIR), Options(grow=1))
    edited = editor.edit(pictures, hole, labels=[3], seeds=[0])
    ```

    Raises:
        UserError: the model is autoregressive.
    """

    pipeline: Pipeline
    options: Options = Options()  # noqa: RUF009 (it is immutable)

    def __post_init__(self) -> None:
        if self.pipeline.is_autoregressive:
            raise UserError(
                "the model is autoregressive: it predicts each token from those before it in its order, and cannot see "
                "what comes after a hole, so give a run of model=maskgit to edit pictures"
            )

    def edit(
        self,
        pictures: UInt8[Tensor, "n 3 y x"],
        hole: Bool[Tensor, "_ _"],
        labels: Sequence[int] | Tensor,
        seeds: Sequence[int],
        *,
        margins: Margins = Margins(),  # noqa: B008 (it is immutable)
        keep_frames: bool = False,
        batch_size: int = AT_ONCE,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Edited:
        """Fills a hole in pictures, and the margins around them.

        A result depends only on the picture outside the hole, the hole, the label and the seed, not on what else is
        edited with it, except for floating-point rounding; with `hide="none"` also on what is in the hole.

        Args:
            pictures: all of the same size: one for each label, or a single one for all labels.
            hole: the same for all pictures.
            labels: the class of each result; the pipeline's `null_label` for no class, if the model was trained with
                label dropout.
            seeds: one for each result.
            margins: around the pictures.
            keep_frames: also returns how the first result is filled, step by step.
            batch_size: images decoded at once.
            advance: called with the number of results after each batch of every window.

        Raises:
            UserError: nothing of the pictures is known, there is nothing to fill, or an argument is not possible.
        """
        work = self._plan(pictures, hole, margins)
        tokens = self._encoded(pictures, hole, work, batch_size).expand(len(labels), -1, -1).clone()
        frames = list[Tensor]()
        for i, window in enumerate(work.windows):
            own = seeds if i == 0 else [mix_seeds(seed, i) for seed in seeds]
            steps = self._fill(tokens, window, labels, own, batch_size, advance, keep_frames)
            frames += [work.region.of(grid) for grid in steps]
        pixels = self._put(pictures, tokens, work, batch_size)
        known = int((~work.canvas.region_of_picture.of(work.unknown_hw)).sum())
        return Edited(pixels, work.hole_HW, work.region.of(tokens), work.region, known, frames)

    def pasted(
        self, pictures: UInt8[Tensor, "n 3 y x"], hole: Bool[Tensor, "y x"], batch_size: int = AT_ONCE
    ) -> UInt8[Tensor, "n 3 y x"]:
        """The tokenizer's own reconstruction, pasted into the same hole: in practice a floor for every model.

        Raises:
            UserError: as in `edit`.
        """
        work = self._plan(pictures, hole, Margins())
        all_known = work._replace(unknown_hw=torch.zeros_like(work.unknown_hw))
        tokens = self._encoded(pictures, torch.zeros_like(hole), all_known, batch_size)
        return self._put(pictures, tokens, work, batch_size)

    def windows(self, height: int, width: int, hole: Bool[Tensor, "y x"], margins: Margins = Margins()) -> int:  # noqa: B008
        """The number of windows in which a picture of this height and width is filled.

        Raises:
            UserError: a picture of this size cannot be edited with these options.
        """
        return len(self._plan(torch.empty(0, 3, height, width, dtype=torch.uint8), hole, margins).windows)

    def _plan(self, pictures: Tensor, hole: Tensor, margins: Margins) -> _Work:
        height, width = pictures.shape[-2:]
        if hole.shape != (height, width):
            raise UserError(
                f"the hole has {hole.shape[1]} x {hole.shape[0]} pixels and the picture {width} x {height}: give "
                "one of the picture's size"
            )
        canvas = Canvas.of(
            height, width, margins, self.pipeline.size, self.pipeline.tokenizer.downsample, self.options.fit
        )
        hole_HW = canvas.hole(hole)
        if not bool(hole_HW.any()):
            raise UserError("the hole is empty: there is nothing to fill")
        cells_hw = cells_of(hole_HW, canvas.vertical.spans(), canvas.horizontal.spans())
        if bool(canvas.region_of_picture.of(cells_hw).all()):
            raise UserError(
                "the hole leaves no token of the picture known: give a smaller one, or draw whole images with "
                "`python sample.py`"
            )
        unknown_hw = grown(cells_hw, self.options.grow)
        windows = plan_windows(unknown_hw, *self.pipeline.grid, self.options.overlap, self.options.stride)
        with_seam_hw = grown(cells_hw, math.ceil(self.options.seam_for(canvas.cell) / canvas.cell))
        region = _around(windows, self.pipeline.grid).with_marked(with_seam_hw)
        return _Work(canvas, hole_HW, unknown_hw, windows, region)

    def _encoded(self, pictures: Tensor, hole: Tensor, work: _Work, batch_size: int) -> Tensor:
        """The tokens of the grid (B, h, w), with the mask token where they are unknown.

        If a picture is larger than the model's images, only the part around the hole is encoded.
        """
        canvas, pipeline = work.canvas, self.pipeline
        shown = hidden(pictures, hole, self.options.hide)
        region = _to_encode(work.region, canvas.region_of_picture, pipeline.grid)
        offset, cell = canvas.region_of_picture, pipeline.tokenizer.downsample
        rows = slice((region.top - offset.top) * cell, (region.bottom - offset.top) * cell)
        columns = slice((region.left - offset.left) * cell, (region.right - offset.left) * cell)

        seen = torch.stack([canvas.for_model(picture)[:, rows, columns] for picture in shown])
        tokens = torch.full((len(pictures), *canvas.grid), pipeline.mask_id)
        region.of(tokens).copy_(encode(pipeline, seen, batch_size))
        return tokens.masked_fill_(work.unknown_hw, pipeline.mask_id)

    def _fill(
        self,
        tokens: Tensor,
        window: Window,
        labels: Sequence[int] | Tensor,
        seeds: Sequence[int],
        batch_size: int,
        advance: Callable[[int], None],
        keep_frames: bool,
    ) -> list[Tensor]:
        """Fills a window of the grids in place; returns the first grid after each step, if requested."""
        inside = window.of(tokens)
        found = self.pipeline.fill(
            inside.flatten(1), labels, seeds, batch_size=batch_size, advance=advance, keep_history=keep_frames
        )
        frames = list[Tensor]()
        for step in found.history[0] if found.history is not None else ():
            frames.append(tokens[0].clone())
            window.of(frames[-1]).copy_(step.unflatten(0, self.pipeline.grid))
        inside[:, window.kept_hw] = found.tokens.unflatten(1, self.pipeline.grid)[:, window.kept_hw]
        return frames

    def _put(self, pictures: Tensor, tokens: Tensor, work: _Work, batch_size: int) -> Tensor:
        """The results: the decoded region, blended into the pictures."""
        canvas, seam = work.canvas, self.options.seam_for(work.canvas.cell)
        results = canvas.with_margins(pictures.expand(len(tokens), -1, -1, -1))
        made = decode(self.pipeline, work.region.of(tokens), batch_size)
        for result, image in zip(results, made, strict=True):
            place, part = canvas.from_model(image, work.region)
            result[:, *place] = blended(result[:, *place], part, work.hole_HW[place], self.options.blend, seam)
        return results


def _around(windows: Sequence[Window], grid: tuple[int, int]) -> Region:
    """The smallest region that contains all windows."""
    tops, lefts = [window.top for window in windows], [window.left for window in windows]
    return Region(min(tops), min(lefts), max(tops) + grid[0], max(lefts) + grid[1])


def _to_encode(region: Region, picture: Region, grid: tuple[int, int]) -> Region:
    """The part of the picture that lies in a region, extended around it if that is smaller than the model's images."""
    top, bottom = _span((region.top, region.bottom), (picture.top, picture.bottom), grid[0])
    left, right = _span((region.left, region.right), (picture.left, picture.right), grid[1])
    return Region(top, left, bottom, right)


def _span(wanted: tuple[int, int], there: tuple[int, int], least: int) -> tuple[int, int]:
    start, stop = max(wanted[0], there[0]), min(wanted[1], there[1])
    least = min(least, there[1] - there[0])
    start = max(there[0], min(start, stop - least)) if stop - start < least else start
    return start, max(stop, start + least)
