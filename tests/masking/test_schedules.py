"""Schedules: end points, monotony, shape, and the published counts."""

import pytest
import torch

from maskgit_lab.masking.schedules import (
    SMALLEST_RATIO,
    Arccos,
    Cosine,
    Cubic,
    Exponential,
    Linear,
    Logarithmic,
    Schedule,
    Square,
    SquareRoot,
)

CONCAVE = [Cosine(), Square(), Cubic(), Exponential(), Arccos()]
CONVEX = [SquareRoot(), Logarithmic()]
ALL = [*CONCAVE, Linear(), *CONVEX]
RATIOS = torch.linspace(0, 1, 257, dtype=torch.float64)


def by_name(schedules: list[Schedule]):
    return pytest.mark.parametrize("schedule", schedules, ids=lambda s: s.name)


def test_names_are_those_of_the_configs():
    names = {schedule.name for schedule in ALL}
    assert names == {"linear", "cosine", "square", "cubic", "exponential", "square_root", "logarithmic", "arccos"}


@by_name(ALL)
@pytest.mark.parametrize("n_tokens", [2, 64, 256, 1024])
def test_falls_from_one_to_the_smallest_ratio(schedule: Schedule, n_tokens: int):
    gamma = schedule(RATIOS, n_tokens)
    start = 1 - 1 / n_tokens if isinstance(schedule, Exponential) else 1.0
    assert gamma[0].item() == pytest.approx(start)
    assert gamma[-1].item() == pytest.approx(SMALLEST_RATIO)
    assert (gamma.diff() <= 0).all()
    assert gamma.min() >= SMALLEST_RATIO and gamma.max() <= 1


@by_name(CONCAVE)
def test_concave(schedule: Schedule):
    inside = schedule(RATIOS, 256)[:-1]  # the last value is clipped
    assert (inside.diff().diff() <= 1e-9).all()
    assert (inside[1:] > inside[0] * (1 - RATIOS[1:-1])).all()  # above the chord between its ends


@by_name(CONVEX)
def test_convex_where_it_is_not_clipped(schedule: Schedule):
    gamma = schedule(RATIOS, 256)
    inside = gamma[(gamma < 1) & (gamma > SMALLEST_RATIO)]
    assert (inside.diff().diff() >= -1e-9).all()


def test_linear_is_one_minus_r():
    assert torch.allclose(Linear()(RATIOS, 256), (1 - RATIOS).clamp(min=SMALLEST_RATIO))


def test_logarithmic_is_as_published():
    assert Logarithmic()(torch.tensor(0.25), 256).item() == pytest.approx(2 / 8)


@by_name(ALL)
def test_takes_any_shape_and_a_number_of_tokens_for_each_image(schedule: Schedule):
    ratio = torch.rand(3, 4)
    n_tokens = torch.tensor([[4], [64], [256]])
    together = schedule(ratio, n_tokens)
    assert together.shape == ratio.shape
    for row, n in enumerate((4, 64, 256)):
        assert torch.allclose(together[row], schedule(ratio[row], n))


@by_name(ALL)
def test_a_single_token_has_a_finite_ratio(schedule: Schedule):
    assert schedule(RATIOS, 1).isfinite().all()
