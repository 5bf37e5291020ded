"""The largest rectangle in tables with gaps: repeats, and the T at which all of them were measured."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

Sets = Sequence[Set[int]]  # for each T the repeats that were measured there


def largest(tables: Sequence[Sets]) -> frozenset[int]:
    """The repeats with which most cells of all tables together can be kept, where each table keeps a T at least.

    A T can be kept if it has all of these repeats. The candidates are the repeats of each T, as far as all tables have
    them, and each repeat alone; of equals the one with more repeats is chosen, and then that with lower numbers.

    Returns:
        Nothing where no repeat is in all tables.
    """
    shared = frozenset.intersection(*(frozenset[int]().union(*sets) for sets in tables)) if tables else frozenset[int]()
    candidates = {shared.intersection(here) for sets in tables for here in sets} | {frozenset([one]) for one in shared}
    return max(candidates, key=lambda kept: _worth(kept, tables), default=shared)


def _worth(kept: frozenset[int], tables: Sequence[Sets]) -> tuple[Any, ...]:
    counts = [sum(kept <= here for here in sets) for sets in tables]
    cells = len(kept) * sum(counts) if all(counts) else 0
    return cells, len(kept), [-number for number in sorted(kept)]
