"""The editor on the tiny run: nothing leaks, nothing else changes, and each result stands for itself."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from maskgit_lab import Pipeline
from maskgit_lab.data.digits import digits
from maskgit_lab.editing.blending import soft_mask
from maskgit_lab.editing.canvas import MOST_PIXELS, Canvas, Margins
from maskgit_lab.editing.editor import Editor
from maskgit_lab.editing.holes import hole_of
from maskgit_lab.editing.options import Options, options_for
from maskgit_lab.errors import UserError
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.settings.editing import TASKS

NOTHING = torch.zeros(16, 16, dtype=torch.bool)


@pytest.fixture(scope="module")
def pipeline(tiny_run):
    return Pipeline.load(tiny_run, device="cpu").at(3)


@pytest.fixture(scope="module")
def pictures():
    return to_uint8(torch.stack([digits().test[i][0] for i in range(4)]))


def larger(pictures, height, width):
    """A picture of another size, made of several."""
    tiled = pictures.repeat(1, 1, -(-height // 16), -(-width // 16))
    return tiled[:, :, :height, :width].contiguous()


CASES = {
    "center": ("center50", (16, 16), Margins(), {}),
    "right": ("right50", (16, 16), Margins(), {"grow": 1}),
    "mean": ("left25", (16, 16), Margins(), {"hide": "mean", "seam": 0}),
    "poisson": ([3, 5, 9, 11], (16, 16), Margins(), {"blend": "poisson"}),
    "resized": ([3, 5, 20, 22], (30, 47), Margins(), {"seam": 3}),
    "window": ([3, 5, 9, 17], (30, 47), Margins(), {"fit": "window"}),
    "windows": ([3, 5, 40, 27], (30, 47), Margins(), {"fit": "window", "overlap": 0.4, "stride": 2}),
    "outpaint": ([0, 0, 3, 3], (16, 16), Margins(right=9, up=5), {}),
    "panorama": ([0, 0, 1, 1], (16, 16), Margins(12, 12), {}),
    "around": ([0, 0, 1, 1], (21, 17), Margins(5, 6, 7, 8), {"fit": "window"}),
}


@pytest.mark.parametrize("case", CASES)
def test_hidden_pixels_change_nothing_and_all_others_come_back(pipeline, pictures, case):
    spec, size, margins, options = CASES[case]
    given, hole = larger(pictures[:1], *size), hole_of(spec, *size)
    editor = Editor(pipeline, options_for("inpaint", options))
    counted = list[int]()
    edited = editor.edit(given, hole, [3, 5], [0, 1], margins=margins, advance=counted.append)
    assert counted == [2] * editor.windows(*size, hole, margins)
    other = editor.edit(torch.where(hole, 255 - given, given), hole, [3, 5], [0, 1], margins=margins)
    assert torch.equal(edited.pixels, other.pixels) and torch.equal(edited.tokens, other.tokens)

    height, width = size[0] + margins.up + margins.down, size[1] + margins.left + margins.right
    assert edited.pixels.shape == (2, 3, height, width) and edited.hole.shape == (height, width)
    place = slice(margins.up, margins.up + size[0]), slice(margins.left, margins.left + size[1])
    assert torch.equal(edited.hole[place], hole) and int(edited.hole.sum()) == height * width - int((~hole).sum())
    seam = 0 if editor.options.blend == "poisson" else editor.options.seam
    beyond = (soft_mask(edited.hole, 4 if seam is None else seam) == 0)[place]
    assert torch.equal(edited.pixels[:, :, *place][:, :, beyond], given.expand(2, -1, -1, -1)[:, :, beyond])
    assert not torch.equal(edited.pixels[0], edited.pixels[1])


@pytest.mark.parametrize("box", [[44, 16, 76, 24], [20, 16, 64, 28], [16, 20, 28, 64]], ids=str)
@pytest.mark.parametrize("seam", [None, 12])
def test_what_is_decoded_has_the_whole_seam_in_it(pipeline, pictures, box, seam):
    given, hole = larger(pictures[:1], 80, 96), hole_of(box, 80, 96)
    edited = Editor(pipeline, Options(fit="window", seam=seam)).edit(given, hole, [3], [0])
    (top, left, bottom, right), cell = edited.region, pipeline.tokenizer.downsample
    room = (box[0] - left * cell, box[1] - top * cell, right * cell - box[2], bottom * cell - box[3])
    assert min(room) >= (cell if seam is None else seam)


def test_a_class_edit_sees_the_whole_picture_unless_it_is_told_not_to(pipeline, pictures):
    hole = hole_of([6, 4, 10, 12], 16, 16)
    changed = torch.where(hole, 255 - pictures, pictures)
    for options, same in (({}, False), ({"hide": "edge"}, True)):
        editor = Editor(pipeline, options_for("class_edit", options))
        assert editor.options.grow == 1
        tokens = [editor.edit(given, hole, [1] * 4, range(4)).tokens for given in (pictures, changed)]
        assert torch.equal(*tokens) is same


@pytest.mark.parametrize("case", ["center", "resized", "windows", "panorama"])
def test_a_result_does_not_depend_on_what_is_edited_with_it(pipeline, pictures, case):
    spec, size, margins, options = CASES[case]
    given, hole = larger(pictures, *size), hole_of(spec, *size)
    editor = Editor(pipeline, options_for("inpaint", options))
    together = editor.edit(given, hole, [3, 4, 5, 6], [7, 8, 9, 10], margins=margins)
    alone = editor.edit(given[2:3], hole, [5], [9], margins=margins, batch_size=1)
    assert torch.equal(together.tokens[2:3], alone.tokens)
    assert (together.pixels[2:3].int() - alone.pixels.int()).abs().max() <= 1  # of rounding


def test_one_window_is_a_fill_of_the_pipeline(pipeline, pictures):
    """The token rule and the seeds are plain: `fill` gives the same tokens."""
    hole = hole_of("right50", 16, 16)
    edited = Editor(pipeline, Options(hide="none")).edit(pictures, hole, [0, 1, 2, 3], [4, 5, 6, 7])
    tokens = pipeline.encode(pictures / 255).unflatten(1, (8, 8))
    known = tokens.clone()
    tokens[:, :, 4:] = pipeline.mask_id
    assert torch.equal(edited.tokens.flatten(1), pipeline.fill(tokens.flatten(1), [0, 1, 2, 3], [4, 5, 6, 7]).tokens)
    assert torch.equal(edited.tokens[:, :, :4], known[:, :, :4])
    assert edited.known == 32 and edited.region == (0, 0, 8, 8)


def test_the_floor_is_the_reconstruction_in_the_hole(pipeline, pictures):
    hole = hole_of("right50", 16, 16)
    pasted = Editor(pipeline, Options(seam=0)).pasted(pictures, hole)
    rebuilt = to_uint8(pipeline.decode(pipeline.encode(pictures / 255)))
    assert torch.equal(pasted, torch.where(hole, rebuilt, pictures))


def test_the_schedule_is_of_the_hole_and_frames_show_it_fill(pipeline, pictures):
    editor = Editor(pipeline.at(4))
    edited = editor.edit(pictures[:1], hole_of("center50", 16, 16), [0, 0], [0, 1], keep_frames=True)
    masked = [int((frame == pipeline.mask_id).sum()) for frame in edited.frames]
    assert len(masked) == 4 and masked[0] == int(16 * torch.cos(torch.tensor(torch.pi / 8))) and masked[-1] == 1
    wide = editor.edit(pictures[:1], NOTHING, [0], [0], margins=Margins(right=16), keep_frames=True)
    assert len(wide.frames) == 8 and wide.frames[0].shape == (8, 12)  # two windows, from the middle of the picture on


def test_no_class_is_a_label_after_label_dropout(pipeline, pictures):
    hole, null = hole_of("center50", 16, 16), pipeline.null_label
    with pytest.raises(UserError, match="there is no class"):
        Editor(pipeline).edit(pictures[:1], hole, [null], [0])
    dropped = Editor(replace(pipeline, label_dropout=0.1))
    assert dropped.edit(pictures[:1], hole, [null], [0]).pixels.shape == (1, 3, 16, 16)


def test_an_autoregressive_model_cannot_edit(tiny_autoregressive):
    with pytest.raises(UserError, match=r"autoregressive.* cannot see what comes after a hole"):
        Editor(Pipeline.load(tiny_autoregressive, device="cpu"))


@pytest.mark.parametrize(
    ("size", "hole", "margins", "fit", "says"),
    [
        ((16, 16), NOTHING, Margins(), "resize", "the hole is empty"),
        ((16, 16), ~NOTHING, Margins(), "resize", "leaves no token"),
        ((16, 16), torch.zeros(8, 8, dtype=torch.bool), Margins(), "resize", "the picture's size"),
        ((1, 1), torch.zeros(1, 1, dtype=torch.bool), Margins(right=1), "resize", "give a larger one"),
        ((14, 30), torch.zeros(14, 30, dtype=torch.bool), Margins(right=2), "window", "leave fit out"),
        ((16, 16), NOTHING, Margins(right=MOST_PIXELS), "resize", "at most"),
    ],
)
def test_impossible_edits_are_refused(pipeline, pictures, size, hole, margins, fit, says):
    with pytest.raises(UserError, match=says):
        Editor(pipeline, Options(fit=fit)).edit(larger(pictures[:1], *size), hole, [0], [0], margins=margins)


@pytest.mark.parametrize(
    "options",
    [{"hide": "all"}, {"blend": "x"}, {"fit": "crop"}, {"grow": -1}, {"seam": -1}, {"stride": 0}, {"overlap": 1.0}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="is not possible"):
        options_for("inpaint", options)


def test_only_class_edits_may_see_the_hole():
    assert options_for("class_edit", {"hide": None, "grow": 0}) == Options(hide="none", grow=0)
    for task in TASKS[1:]:
        with pytest.raises(UserError, match="must not see"):
            options_for(task, {"hide": "none"})
    with pytest.raises(UserError, match="no such task"):
        options_for("erase", {})


@pytest.mark.parametrize("height", [16, 17, 31, 32, 100])
@pytest.mark.parametrize("fit", ["resize", "window"])
@pytest.mark.parametrize("margins", [Margins(), Margins(3, 10, 1, 0)])
def test_the_grid_covers_the_canvas(height, fit, margins):
    canvas = Canvas.of(height, 40, margins, (16, 16), 2, fit)
    for axis in (canvas.vertical, canvas.horizontal):
        spans = axis.spans()
        assert spans[0][0] <= 0 and spans[-1][1] >= axis.pixels
        assert all(first <= after for (_, after), (first, _) in pairwise(spans))
        start = axis.position(axis.cells_before)
        assert start == axis.before  # the tokens of the picture are those that it has alone
    region = canvas.region_of_picture
    assert region.bottom <= canvas.grid[0] and region.right <= canvas.grid[1]
