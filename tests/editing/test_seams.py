"""The seams of panoramas: a window leaves none that the edge statistic finds, which finds one that is planted."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

from maskgit_lab import Pipeline
from maskgit_lab.data.digits import digits
from maskgit_lab.editing.canvas import Margins
from maskgit_lab.editing.editor import Editor
from maskgit_lab.metrics.pixels import to_uint8

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "panorama_seams.py"


@pytest.fixture(scope="module")
def statistic():
    spec = spec_from_file_location("panorama_seams", FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_panorama_of_four_times_the_width_has_no_seam_and_a_planted_one_is_found(statistic, tiny_run):
    pipeline, nothing = Pipeline.load(tiny_run, device="cpu").at(3), torch.zeros(16, 16, dtype=torch.bool)
    pictures = to_uint8(torch.stack([digits().test[i][0] for i in range(40)]))
    editor = Editor(pipeline)
    pixels = editor.edit(pictures, nothing, [1] * 40, range(40), margins=Margins(24, 24)).pixels
    assert pixels.shape == (40, 3, 16, 64)
    meeting, inside = statistic.edges_of(32, (12, 20), (8, 8), 0.5)
    assert meeting == [4, 8, 12, 20, 24, 28] and len(inside) == 18
    assert statistic.seams(pixels, meeting, inside, 2).p > 0.05

    stepped = pixels.float()
    for i, edge in enumerate(meeting):
        stepped[..., 2 * edge :] += 100 if i % 2 == 0 else -100
    assert statistic.seams(to_uint8(stepped / 255), meeting, inside, 2).p < 0.01
