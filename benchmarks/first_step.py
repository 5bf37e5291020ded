"""What sharing the first decoding step within a class saves: `python benchmarks/first_step.py`, a minute on 2 cores.

Prints, for each T, the time of decoding without sharing over the time with it, measured in turns in one run. On paper
the ratio is T / (T - 1) where the network is all the cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from maskgit_lab.decoding.guidance import LogitsFn, class_logits
from maskgit_lab.decoding.parallel import decode
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.transformer import Transformer

REPEATS = 5
IMAGES = 128
CLASSES = 10


def seconds(net: Transformer, logits_fn: LogitsFn, steps: int) -> float:
    """Time of one decoding of a batch that starts empty."""
    tokens = torch.full((IMAGES, net.n_tokens), net.mask_id)
    start = time.perf_counter()
    decode(tokens, logits_fn, schedule=Cosine(), steps=steps, mask_id=net.mask_id)
    return time.perf_counter() - start


@torch.inference_mode()
def main(say: Callable[[str], None] = print) -> None:
    """Measures and prints."""
    net = Transformer(n_codes=32, n_classes=CLASSES, n_tokens=64, depth=4, heads=2, width=64, mlp_width=256).eval()
    labels = torch.arange(IMAGES) * CLASSES // IMAGES
    shared, plain = class_logits(net, labels, net.mask_id), lambda tokens: net(tokens, labels)
    seconds(net, plain, 2)
    for steps in (1, 2, 4, 8, 16):
        times = [(seconds(net, plain, steps), seconds(net, shared, steps)) for _ in range(REPEATS)]
        without, with_sharing = (sorted(column)[REPEATS // 2] for column in zip(*times, strict=True))
        say(f"T = {steps:<3} without / with sharing = {without / with_sharing:.2f}")


if __name__ == "__main__":
    main()
