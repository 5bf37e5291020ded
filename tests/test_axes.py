"""Axes of equal values: a range that shows the value, whatever its size."""

import pytest

from maskgit_lab.axes import room_around


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.98, 0.98], (0.931, 1.029)),
        ([0.98, 0.98 + 1e-16], (0.931, 1.029)),
        ([50000.0], (47500.0, 52500.0)),
        ([-2.0, -2.0], (-2.1, -1.9)),
        ([0.0, 0.0], (-0.05, 0.05)),
        ([1.316, float("nan"), 1.3161], (1.25024, 1.38186)),
    ],
)
def test_equal_values_get_a_range_of_their_size(values, expected):
    assert room_around(values) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("values", [[0.98, 0.99], [0.0, 1e-9], [-1.0, 1.0], [], [float("nan")]])
def test_other_values_span_their_axis_themselves(values):
    assert room_around(values) is None
