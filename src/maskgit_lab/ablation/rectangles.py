"""The largest rectangle in tables with gaps: repeats, and the T at which all of them were measured."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, TypeVar

R = TypeVar("R", bound=Any)  # a repeat: anything with an order


def largest(tables: Sequence[Sequence[Set[R]]]) -> frozenset[R]:
    """The repeats with which most cells of all tables together can be kept, where each table keeps a T at least.

    A T can be kept if it has all of these repeats. The candidates are the repeats of each T, as far as all tables have
    them, and each repeat alone; of equals the one with more repeats is chosen, and then that with the first of them.

    Args:
        tables: for each T of each the repeats that were measured there.

    Returns:
        Nothing where no repeat is in all tables.
    """
    shared = frozenset.intersection(*(frozenset[R]().union(*sets) for sets in tables)) if tables else frozenset[R]()
    candidates = {shared.intersection(here) for sets in tables for here in sets} | {frozenset([one]) for one in shared}
    places = {one: place for place, one in enumerate(sorted(shared))}
    return max(candidates, key=lambda kept: _worth(kept, tables, places), default=shared)


def _worth(kept: frozenset[R], tables: Sequence[Sequence[Set[R]]], places: dict[R, int]) -> tuple[Any, ...]:
    counts = [sum(kept <= here for here in sets) for sets in tables]
    cells = len(kept) * sum(counts) if all(counts) else 0
    return cells, len(kept), [-place for place in sorted(places[one] for one in kept)]
