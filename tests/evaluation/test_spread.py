"""Some of many, spread evenly."""

from itertools import pairwise

import pytest

from maskgit_lab.evaluation.spread import spread_evenly


@pytest.mark.parametrize(("n_items", "count"), [(1, 1), (2, 2), (10, 1), (10, 4), (899, 24), (50_000, 10_000)])
def test_items_are_spread_from_the_first_to_the_last(n_items, count):
    numbers = spread_evenly(n_items, count)
    gaps = {after - before for before, after in pairwise(numbers)}
    assert len(numbers) == count and numbers[0] == 0 and (count == 1 or numbers[-1] == n_items - 1)
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 2)  # halves are rounded to even numbers


@pytest.mark.parametrize("count", [None, 5, 6])
def test_all_are_taken_where_there_are_no_more(count):
    assert spread_evenly(5, count) == [0, 1, 2, 3, 4]
