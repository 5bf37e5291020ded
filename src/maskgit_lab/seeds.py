"""Seeds made of several numbers."""

from __future__ import annotations

import numpy as np


def mix_seeds(*parts: int) -> int:
    """A seed from whole numbers such as (seed, rank, step), well mixed: neighbours give unrelated streams."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
