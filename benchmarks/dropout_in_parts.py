"""What dropout of the whole batch costs a part of it: `python benchmarks/dropout_in_parts.py`, a minute on a CPU core.

Prints, for each number of parts, the processor time of a step (forward and backward) of the digits' transformer with
dropout 0.1 and batches of 32, over that with dropout of the part alone: medians of steps that take turns.
"""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager, nullcontext

import torch

from maskgit_lab.lit.dropout import WholeBatchDropout
from maskgit_lab.lit.parts import Part
from maskgit_lab.nets.transformer import Transformer

REPEATS = 25
BATCH, N_TOKENS, N_CODES, N_CLASSES = 32, 64, 32, 10


def seconds(net: Transformer, n_images: int, dropout: AbstractContextManager[object]) -> float:
    """Processor time of a step."""
    tokens, labels = torch.randint(N_CODES, (n_images, N_TOKENS)), torch.arange(n_images) % N_CLASSES
    begun = time.process_time()
    with dropout:
        logits = net(tokens, labels)
    logits.square().mean().backward()
    return time.process_time() - begun


def main() -> None:
    """Prints a line for each number of parts."""
    torch.set_num_threads(1)
    net = Transformer(N_CODES, N_CLASSES, N_TOKENS, depth=3, heads=2, width=64, mlp_width=128, dropout=0.1).train()
    for n_parts in (1, 2, 4, 8):
        part = Part(BATCH, range(BATCH // n_parts), 0, n_parts)
        times = [
            (seconds(net, len(part.rows), WholeBatchDropout(part, 0)), seconds(net, len(part.rows), nullcontext()))
            for _ in range(REPEATS)
        ]
        whole, own = (statistics.median(each) for each in zip(*times, strict=True))
        print(f"{n_parts} parts: {whole / own:.2f}", flush=True)


if __name__ == "__main__":
    main()
