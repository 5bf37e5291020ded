"""Some of many, spread evenly, since images are often sorted by class."""

from __future__ import annotations

import torch


def spread_evenly(n_items: int, count: int | None) -> list[int]:
    """The numbers of at most `count` items of so many, the first and the last among them; None: all."""
    count = n_items if count is None else min(count, n_items)
    numbers: list[int] = torch.linspace(0, n_items - 1, count).round().long().tolist()
    return numbers
