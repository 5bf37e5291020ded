"""Whether a sliding window leaves seams in panoramas of held-out images.

    python benchmarks/panorama_seams.py RUN_DIR

Every border between two columns of tokens is an edge. Its jump is the mean absolute difference of the pixels on both
sides, over all pictures, divided by that of the pixels next to them: 1 where images go on smoothly, larger at a seam.
The edges at which a window began to add tokens are compared with those inside of windows. Even in real images the jump
differs from edge to edge (on the digits from 0.4 to 1.2), so that the edges are what is drawn by chance: p is the
share of random choices of as many edges whose mean jump is at least as large.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from maskgit_lab import Pipeline
from maskgit_lab.editing.canvas import Margins
from maskgit_lab.editing.editor import Editor
from maskgit_lab.editing.options import Options
from maskgit_lab.editing.windows import plan_windows
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.stages.images import list_images

DRAWS = 10_000  # random choices of edges


class Seams(NamedTuple):
    """How the edges where windows meet differ from those inside of windows."""

    meeting: float  # their mean jump
    inside: float  # that of the others
    p: float  # the share of random choices of edges with a jump as large
    n_meeting: int
    n_inside: int


def edges_of(
    columns: int, known: tuple[int, int], grid: tuple[int, int], overlap: float
) -> tuple[list[int], list[int]]:
    """The edges where windows meet, the border of the picture included, and all others that were made.

    Args:
        columns: of tokens in the panorama.
        known: the first column of the picture, and the one after its last.
        grid: of a window.
        overlap: share of a window that is known.
    """
    unknown = torch.ones(grid[0], columns, dtype=torch.bool)
    unknown[:, known[0] : known[1]] = False
    made = torch.zeros(columns, dtype=torch.int64)
    for i, window in enumerate(plan_windows(unknown, *grid, overlap), start=1):
        made[window.left : window.left + grid[1]][window.kept_hw.any(dim=0)] = i
    pairs = list(pairwise(made.tolist()))
    meeting = [edge for edge, (before, after) in enumerate(pairs, start=1) if before != after]
    return meeting, [edge for edge, (before, after) in enumerate(pairs, start=1) if before == after > 0]


def jumps(pixels: UInt8[Tensor, "n 3 H W"], edges: list[int], cell: int) -> Float[Tensor, " edges"]:
    """The jump at each of some edges between tokens of `cell` pixels."""
    difference = pixels.double().mean(dim=1).diff(dim=2).abs().mean(dim=(0, 1))  # [x]: between the pixels x and x + 1
    at = torch.tensor(edges) * cell - 1
    return difference[at] / ((difference[at - 1] + difference[at + 1]) / 2)


def seams(pixels: UInt8[Tensor, "n 3 H W"], meeting: list[int], inside: list[int], cell: int) -> Seams:
    """Compares the edges where windows meet with those inside of windows."""
    every, n = jumps(pixels, [*meeting, *inside], cell), len(meeting)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(DRAWS, len(every), generator=generator).argsort(dim=1)[:, :n]
    found = every[:n].mean()
    p = (every[drawn].mean(dim=1) >= found).double().mean()
    return Seams(float(found), float(every[n:].mean()), float(p), n, len(inside))


def measure(pipeline: Pipeline, pictures: Tensor, labels: Tensor, times: int, overlap: float = 0.5) -> Seams:
    """The seams of pictures that are extrapolated to so many times their width."""
    side, cell = pictures.shape[-1] * (times - 1) // 2, pipeline.tokenizer.downsample
    nothing = torch.zeros(pictures.shape[-2:], dtype=torch.bool)
    editor = Editor(pipeline, Options(overlap=overlap))
    edited = editor.edit(pictures, nothing, labels, range(len(labels)), margins=Margins(side, side))
    start = side // cell
    known = start, start + pipeline.grid[1]
    return seams(edited.pixels, *edges_of(edited.tokens.shape[-1], known, pipeline.grid, overlap), cell)


def main() -> None:
    """Prints the statistic of panoramas of held-out images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="the folder of a trained run")
    parser.add_argument("-n", type=int, default=500, help="pictures")
    parser.add_argument("--times", type=int, default=4, help="the width of a panorama over that of a picture")
    parser.add_argument("--steps", type=int, default=8, help="T of each window")
    given = parser.parse_args()
    test = list_images(RunFolder(Path(given.run)).settings()).test
    chosen = [i * len(test) // given.n for i in range(min(given.n, len(test)))]
    pictures = to_uint8(torch.stack([test[i][0] for i in chosen]))
    pipeline = Pipeline.load(given.run).at(given.steps)
    for overlap in (0.25, 0.5, 0.75):
        found = measure(pipeline, pictures, test.labels[chosen], given.times, overlap)
        print(
            f"overlap {overlap}: mean jump {found.meeting:.3f} at the {found.n_meeting} edges where windows meet, "
            f"{found.inside:.3f} at the {found.n_inside} inside of them, p = {found.p:.3f} ({len(chosen)} pictures)"
        )


if __name__ == "__main__":
    main()
