"""Seeds made of several numbers."""

from __future__ import annotations

import numpy as np


def mix_seeds(*parts: int) -> int:
    """A seed from whole numbers such as (seed, rank, step), well mixed: neighbours give unrelated streams.

    The number of parts counts too, since numpy ignores zeros at the end.
    """
    return int(np.random.SeedSequence((len(parts), *parts)).generate_state(1, np.uint64)[0] >> np.uint64(1))
