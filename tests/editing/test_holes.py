"""Holes in pixels and in the grid, what is hidden, and seams."""

import numpy as np
import pytest
import torch

from maskgit_lab.editing.blending import BLEND, blended, soft_mask
from maskgit_lab.editing.hiding import hidden
from maskgit_lab.editing.holes import box_hole, cells_of, grown, hole_name, hole_of
from maskgit_lab.errors import UserError


def spans(cells, size):
    return [(i * size, (i + 1) * size) for i in range(cells)]


def test_named_holes_are_those_of_table_2():
    center, right = hole_of("center50", 512, 512), hole_of("right50", 512, 512)
    assert center.sum() == 256 * 256 and center[128:384, 128:384].all()
    assert right.sum() == 512 * 256 and right[:, 256:].all()
    for name, side in (("left25", "[0,0,4,8]"), ("top50", "[0,0,16,4]"), ("bottom25", "[0,6,16,8]")):
        assert torch.equal(hole_of(name, 8, 16), hole_of(list(map(int, side.strip("[]").split(","))), 8, 16))
    assert hole_name([4, 0, 12, 16]) == "[4,0,12,16]" and hole_name("center50") == "center50"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ([4, 4, 4, 8], "has no area"),
        ([8, 4, 4, 8], "has no area"),
        ([0, 0, 17, 8], "leaves the picture"),
        ([-1, 0, 4, 8], "leaves the picture"),
        ([0, 0, 4], "four whole numbers"),
        ([0, 0, 4, True], "four whole numbers"),
        ("corner50", "there is no such hole"),
        ("center150", "there is no such hole"),
        ("center0", "there is no such hole"),
        ("center1", "has no pixel"),
        ("", "there is no such hole"),
    ],
)
def test_impossible_holes_are_refused(spec, says):
    with pytest.raises(UserError, match=says):
        hole_of(spec, 16, 16)


@pytest.mark.parametrize("seed", range(5))
def test_a_token_is_masked_exactly_where_its_cell_meets_the_hole(seed):
    generator = torch.Generator().manual_seed(seed)
    hole = torch.rand(12, 20, generator=generator) < 0.05
    cells = cells_of(hole, spans(3, 4), spans(5, 4))
    expected = hole.unflatten(0, (3, 4)).unflatten(2, (5, 4)).any(dim=3).any(dim=1)
    assert torch.equal(cells, expected)


def test_growing_reaches_diagonals_and_stops_at_the_border():
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[0, 1] = True
    assert grown(mask, 1).nonzero().tolist() == [[y, x] for y in (0, 1) for x in (0, 1, 2)]
    assert torch.equal(grown(mask, 0), mask) and grown(mask, 4).all()
    twice = grown(grown(mask, 1), 1)
    assert torch.equal(twice, grown(mask, 2))


@pytest.mark.parametrize("how", ["edge", "mean"])
def test_nothing_of_what_is_hidden_is_left(how, generator):
    hole = torch.rand(9, 7, generator=generator) < 0.4
    pictures = torch.randint(256, (2, 3, 9, 7), generator=generator, dtype=torch.uint8)
    others = torch.where(hole, 255 - pictures, pictures)
    shown = hidden(pictures, hole, how)
    assert torch.equal(shown, hidden(others, hole, how))
    assert torch.equal(shown[:, :, ~hole], pictures[:, :, ~hole])


def test_hidden_pixels_get_the_nearest_colour_or_the_mean():
    picture = torch.tensor([10, 20, 0, 0, 80], dtype=torch.uint8).expand(1, 3, 1, 5)
    hole = torch.tensor([[False, False, True, True, False]])
    assert hidden(picture, hole, "edge")[0, 0, 0].tolist() == [10, 20, 20, 80, 80]
    assert hidden(picture, hole, "mean")[0, 0, 0].tolist() == [10, 20, 37, 37, 80]
    assert hidden(picture, hole, "none") is picture
    with pytest.raises(UserError, match="whole picture"):
        hidden(picture, torch.ones_like(hole), "edge")


@pytest.mark.parametrize("seam", [0, 1, 3])
def test_the_soft_mask_is_one_in_the_hole_and_zero_beyond_the_seam(seam, generator):
    hole = box_hole([4, 5, 9, 11], 16, 16)
    share = soft_mask(hole, seam)
    distance = torch.tensor(
        [[min(np.hypot(y - a, x - b) for a, b in hole.nonzero().tolist()) for x in range(16)] for y in range(16)]
    )
    assert (share[hole] == 1).all() and (share[distance > seam] == 0).all()
    around = (distance > 0) & (distance <= seam)
    assert ((share[around] > 0) & (share[around] < 1)).all() and int(around.sum()) == int((share % 1 > 0).sum())


@pytest.mark.parametrize("how", BLEND)
@pytest.mark.parametrize("box", [[4, 5, 9, 11], [8, 0, 16, 16], [0, 0, 1, 1]])
def test_beyond_the_seam_the_picture_comes_back_and_in_the_hole_nothing_of_it(how, box, generator):
    picture, made = torch.randint(256, (2, 3, 16, 16), generator=generator, dtype=torch.uint8)
    hole, seam = box_hole(box, 16, 16), 2
    result = blended(picture, made, hole, how, seam)
    beyond = soft_mask(hole, seam) == 0 if how == "blur" else ~hole
    assert torch.equal(result[:, beyond], picture[:, beyond])
    other = torch.where(hole, 255 - picture, picture)
    assert torch.equal(blended(other, made, hole, how, seam)[:, hole], result[:, hole])
    if how == "blur":
        assert torch.equal(result[:, hole], made[:, hole])


def test_poisson_blending_meets_the_picture_and_keeps_gradients():
    """A picture that is brighter everywhere by a constant is matched without a trace."""
    ramp = torch.arange(64).view(1, 8, 8).expand(3, 8, 8).to(torch.uint8)
    hole = box_hole([2, 2, 6, 8], 8, 8)
    assert torch.equal(blended(ramp + 40, ramp, hole, "poisson", 0), ramp + 40)
    whole = torch.ones(8, 8, dtype=torch.bool)  # without a border there is nothing to meet
    assert torch.equal(blended(ramp + 40, ramp, whole, "poisson", 0), ramp)


def test_poisson_corrections_are_harmonic(generator):
    picture, made = torch.randint(100, 150, (2, 3, 12, 12), generator=generator, dtype=torch.uint8)
    hole = box_hole([3, 3, 9, 12], 12, 12)
    result = blended(picture, made, hole, "poisson", 0)
    correction = (result.double() - made.double())[0]
    inner = correction[5, 5] * 4 - correction[4, 5] - correction[6, 5] - correction[5, 4] - correction[5, 6]
    assert abs(inner) <= 4  # of eight-bit rounding


def test_poisson_blending_has_a_limit(monkeypatch):
    monkeypatch.setattr("maskgit_lab.editing.blending.MOST_SOLVED", 3)
    picture = torch.zeros(3, 4, 4, dtype=torch.uint8)
    with pytest.raises(UserError, match="choose blend=blur"):
        blended(picture, picture, box_hole([0, 0, 2, 2], 4, 4), "poisson", 0)
