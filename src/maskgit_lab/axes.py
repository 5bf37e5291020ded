"""Ranges of axes, whatever draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable

FLAT = 1e-3  # the spread of values over their size up to which an axis shows them as equal
ROOM = 0.05  # of the value, above and below it


def room_around(values: Iterable[float]) -> tuple[float, float] | None:
    """The range of an axis whose values are all equal, or nearly; None where they differ enough to span it.

    Left to themselves, Plotly spans two units around such a value, whatever its size, and Matplotlib magnifies rounding
    errors.
    """
    several = [value for value in values if math.isfinite(value)]
    if not several:
        return None
    low, high = min(several), max(several)
    size = max(abs(low), abs(high))
    if high - low > FLAT * size:
        return None
    room = ROOM * (size or 1.0)
    return (low + high) / 2 - room, (low + high) / 2 + room
