"""Memory of precision and recall at the paper's size: `python benchmarks/precision_recall_memory.py`.

50,000 samples against 50,000 real images with 2,048 features each, drawn at random. Prints the time, and the most
memory that the process ever had, features included. All distances at once would take 10 GB for each of three matrices.
"""

from __future__ import annotations

import resource
import sys
import time

import torch

from maskgit_lab.metrics.features import Features
from maskgit_lab.metrics.reference import Reference
from maskgit_lab.metrics.scores import Choices, precision_recall
from maskgit_lab.metrics.statistics import Gaussian

COUNT, FEATURES, NEIGHBOURS = 50_000, 2_048, 3


def main(count: int = COUNT) -> None:
    """Measures and prints."""
    generator = torch.Generator().manual_seed(0)
    samples, reference = (torch.randn(count, FEATURES, generator=generator) for _ in range(2))
    start = time.perf_counter()
    known = Reference(Gaussian(torch.zeros(1), torch.ones(1, 1)), reference)  # its statistics are not used
    choices = Choices(("precision_recall",), neighbours=NEIGHBOURS)
    found = precision_recall(Features(samples), known, choices)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"{count:,} x {count:,} x {FEATURES:,}: {seconds:.0f} s, {peak / 1e9:.2f} GB at the most, {found}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
