"""How close edits are to their originals, and how different variants of one image are."""

import math

import pytest
import torch

from maskgit_lab.metrics.editing import feature_distances, mean_over_pairs, psnr, squared_errors

HOLE = torch.zeros(4, 4, dtype=torch.bool)
HOLE[1:3, 1:3] = True


@pytest.fixture
def pictures(generator):
    return torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8, generator=generator)


def test_errors_count_in_the_hole_alone_and_do_not_wrap_around(pictures):
    edited = pictures.clone()
    edited[:, :, ~HOLE] = 255 - edited[:, :, ~HOLE]
    assert squared_errors(edited, pictures, HOLE).tolist() == [0, 0, 0]
    black, white = torch.zeros_like(pictures), torch.full_like(pictures, 255)
    assert (
        squared_errors(black, white, HOLE).tolist() == [255**2 * 12] * 3 == squared_errors(white, black, HOLE).tolist()
    )


def test_psnr_is_that_of_the_mean_error_of_all_pixels(pictures):
    other = pictures.flip(0)
    apart = (pictures[:, :, HOLE].double() - other[:, :, HOLE].double()) / 255
    errors = squared_errors(pictures, other, HOLE)
    assert psnr(errors, HOLE) == pytest.approx(-10 * math.log10(float(apart.square().mean())))
    assert psnr(torch.full((5,), 12.0, dtype=torch.float64), HOLE) == pytest.approx(20 * math.log10(255))
    assert psnr(torch.zeros(2, dtype=torch.float64), HOLE) == math.inf


def test_distances_of_features_know_directions_and_not_lengths():
    one, other = torch.tensor([[3.0, 0], [1, 0], [2, 2], [0, 0]]), torch.tensor([[5.0, 0], [0, 7], [-1, -1], [0, 0]])
    assert feature_distances(one, other).tolist() == pytest.approx([0, math.sqrt(2), 2, 0])


def test_diversity_is_the_mean_over_all_pairs():
    variants = [torch.tensor([0.0, 1]), torch.tensor([1.0, 1]), torch.tensor([5.0, 1])]
    found = mean_over_pairs(variants, lambda one, other: (one - other).abs())
    assert found.tolist() == pytest.approx([(1 + 5 + 4) / 3, 0])
