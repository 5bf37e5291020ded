"""Orders of tokens: each names every position of a grid once, and a user's own is checked."""

import pytest
import torch

from maskgit_lab.errors import UserError
from maskgit_lab.nets.orders import Column, Order, Permutation, Raster, Spiral, positions_of

ORDERS = [Raster(), Column(), Spiral(), Permutation(), Permutation(7)]
# Of grids of height x width, written down by hand.
BY_HAND = [
    (Raster(), 2, 3, [0, 1, 2, 3, 4, 5]),
    (Column(), 2, 3, [0, 3, 1, 4, 2, 5]),
    (Column(), 3, 2, [0, 2, 4, 1, 3, 5]),
    (Spiral(), 3, 3, [0, 1, 2, 5, 8, 7, 6, 3, 4]),
    (Spiral(), 3, 4, [0, 1, 2, 3, 7, 11, 10, 9, 8, 4, 5, 6]),
    (Spiral(), 4, 2, [0, 1, 3, 5, 7, 6, 4, 2]),
    (Spiral(), 1, 4, [0, 1, 2, 3]),
    (Spiral(), 4, 1, [0, 1, 2, 3]),
]


@pytest.mark.parametrize(
    ("order", "height", "width", "positions"), BY_HAND, ids=lambda value: getattr(value, "name", str(value))
)
def test_small_grids(order, height, width, positions):
    assert order(height, width).tolist() == positions


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 7), (7, 2), (16, 16), (5, 6)])
def test_every_position_comes_once(order, height, width):
    found = positions_of(order, height, width)
    assert found.dtype == torch.int64 and found.sort().values.tolist() == list(range(height * width))


@pytest.mark.parametrize("side", [2, 5, 8])
def test_a_spiral_goes_from_neighbour_to_neighbour_and_turns_inwards(side):
    rows, columns = (part.tolist() for part in (Spiral()(side, side) // side, Spiral()(side, side) % side))
    steps = [abs(a - b) + abs(c - d) for a, b, c, d in zip(rows, rows[1:], columns, columns[1:], strict=False)]
    assert set(steps) == {1}
    rings = [min(r, c, side - 1 - r, side - 1 - c) for r, c in zip(rows, columns, strict=True)]
    assert rings == sorted(rings)


def test_a_random_order_has_its_own_seed_and_name():
    torch.manual_seed(0)
    first = Permutation(3)(4, 4)
    torch.manual_seed(1)
    assert torch.equal(first, Permutation(3)(4, 4)) and not torch.equal(first, Permutation(4)(4, 4))
    names = ["raster", "column", "spiral", "permutation(seed=0)", "permutation(seed=7)"]
    assert [order.name for order in ORDERS] == names


@pytest.mark.parametrize("seed", [-1, 2**63, True], ids=str)
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(UserError, match=r"^autoregressive.order.seed=.* is not possible: give a whole number"):
        Permutation(seed)


def test_positions_are_real_where_networks_are_tried_without_memory():
    with torch.device("meta"):
        assert positions_of(Permutation(), 2, 2).device.type == "cpu"


class Mine(Order):
    """A user's own, which gives whatever it is given."""

    def __init__(self, found):
        self.found = found

    def __call__(self, height, width):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


WRONG = {
    "another length": torch.arange(3),
    "more": torch.arange(5),
    "duplicates": torch.tensor([0, 1, 2, 2]),
    "from one": torch.arange(1, 5),
    "negative": torch.tensor([0, 1, 2, -1]),
    "floats": torch.arange(4.0),
    "booleans": torch.ones(4, dtype=torch.bool),
    "a grid": torch.arange(4).view(2, 2),
    "a number": torch.tensor(4),
    "a list": [0, 1, 2, 3],
    "nothing": None,
}


@pytest.mark.parametrize("found", WRONG.values(), ids=WRONG)
def test_an_order_that_is_none_is_one_sentence(found):
    with pytest.raises(UserError, match=r"^the order \S*mine .*: return every position from 0 to 3 once") as caught:
        positions_of(Mine(found), 2, 2)
    assert "\n" not in str(caught.value)


def test_an_order_that_fails_is_one_sentence():
    with pytest.raises(UserError, match=r"^the order \S*mine fails for a grid of 2 x 2 tokens \(no such grid\)"):
        positions_of(Mine(RuntimeError("no such grid")), 2, 2)


def test_whole_numbers_of_another_type_are_taken():
    assert positions_of(Mine(torch.tensor([2, 0, 3, 1], dtype=torch.int16)), 2, 2).tolist() == [2, 0, 3, 1]
