"""A window that slides over a grid, and tiles of pictures."""

import pytest
import torch

from maskgit_lab.editing.tiles import _nearest, _starts
from maskgit_lab.editing.windows import plan_windows


def grid(height, width, known):
    """A grid in which only the rectangle (top, left, bottom, right) is known."""
    unknown = torch.ones(height, width, dtype=torch.bool)
    unknown[known[0] : known[2], known[1] : known[3]] = False
    return unknown


def carried_out(unknown, windows, height, width):
    """The share of each window that was known before it, once the plan is checked to fill every token once."""
    left, shares = unknown.clone(), []
    for window in windows:
        inside = window.of(left)
        assert inside.shape == (height, width)
        assert (window.kept_hw & ~inside).sum() == 0 and window.kept_hw.any()
        shares.append(1 - float(inside.double().mean()))
        inside &= ~window.kept_hw
    assert not left.any()
    return shares


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("stride", [None, 1, 2])
@pytest.mark.parametrize(
    ("size", "known"),
    [((8, 32), (0, 12, 8, 20)), ((8, 32), (0, 0, 8, 8)), ((20, 8), (12, 0, 20, 8)), ((24, 32), (8, 12, 16, 20))],
    ids=["both sides", "right", "up", "all around"],
)
def test_every_token_is_filled_once_from_windows_that_know_enough(size, known, stride, overlap):
    unknown = grid(*size, known)
    shares = carried_out(unknown, plan_windows(unknown, 8, 8, overlap, stride), 8, 8)
    assert min(shares) >= overlap - 1e-9


def test_a_panorama_takes_as_many_windows_as_its_stride_needs():
    """512 x 512 to 512 x 2,560 pixels at factor 16: 64 new columns on each side, half a window of 32 at a time."""
    unknown = grid(32, 160, (0, 64, 32, 96))
    assert len(plan_windows(unknown, 32, 32, 0.5)) == 8
    assert len(plan_windows(unknown, 32, 32, 0.75)) == 16
    narrow = plan_windows(unknown, 32, 32, 0.5, stride=4)
    assert len(narrow) == 32 and all(int(window.kept_hw.sum()) == 4 * 32 for window in narrow)


def test_a_hole_that_fits_takes_one_window_with_the_hole_in_its_middle():
    unknown = torch.zeros(40, 60, dtype=torch.bool)
    unknown[20:24, 31:37] = True
    (window,) = plan_windows(unknown, 16, 16, 0.5)
    assert (window.top, window.left) == (14, 26) and int(window.kept_hw.sum()) == 24
    unknown = torch.zeros(40, 60, dtype=torch.bool)
    unknown[0:2, 58:60] = True
    (window,) = plan_windows(unknown, 16, 16, 0.5)
    assert (window.top, window.left) == (0, 44)


@pytest.mark.parametrize("seed", range(4))
def test_scattered_holes_are_filled(seed):
    unknown = torch.rand(20, 24, generator=torch.Generator().manual_seed(seed)) < 0.6
    carried_out(unknown, plan_windows(unknown, 8, 8, 0.5), 8, 8)
    assert len(plan_windows(torch.ones(8, 8, dtype=torch.bool), 8, 8, 0.5)) == 1  # nothing is known


@pytest.mark.parametrize(("length", "size"), [(8, 8), (9, 8), (12, 8), (37, 8), (3, 1)])
def test_tiles_cover_all_tokens_each_from_the_one_around_it(length, size):
    starts = _starts(length, size)
    assert starts[0] == 0 and starts[-1] == length - size
    parts = _nearest(starts, length, size)
    assert [first for _, first, _ in parts] == [0, *(after for _, _, after in parts[:-1])]
    assert all(start <= first < after <= start + size for start, first, after in parts) and parts[-1][2] == length
