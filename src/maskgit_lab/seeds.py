"""Seeds derived from several numbers."""

from __future__ import annotations

import numpy as np


def mix_seeds(*parts: int) -> int:
    """A seed derived from integers such as (seed, rank, step); neighbouring inputs give unrelated streams.

    The number of parts is mixed in too, since numpy ignores trailing zeros.
    """
    return int(np.random.SeedSequence((len(parts), *parts)).generate_state(1, np.uint64)[0] >> np.uint64(1))
