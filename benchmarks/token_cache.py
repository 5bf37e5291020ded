"""What the token cache saves: `python benchmarks/token_cache.py`, some minutes on 2 cores, or on the GPU that is there.

Prints, at 256 x 256 pixels and the paper's sizes, the time to encode an image over the time that the transformer takes
to train on its codes, measured in turns in one run: without the cache every training step would pay both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from maskgit_lab.masking.corruption import corrupt, draw_mask
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.objectives.mvtm import masked_cross_entropy

SIZE, CODES, CLASSES, TOKENS, BYTES = 256, 1024, 1000, 256, 2


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Time of one call."""
    begun = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch, images = arguments.batch_size, torch.rand(arguments.batch_size, 3, SIZE, SIZE, device=device)
    vqgan = VQGAN().eval().requires_grad_(False).to(device)
    net = Transformer(CODES, CLASSES, TOKENS).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)
    codes = vqgan.encode(images).flatten(1)

    def train() -> None:
        mask = draw_mask(codes, Cosine())
        masked_cross_entropy(net(corrupt(codes, mask, net.mask_id), labels), codes, mask, 0.1).backward()
        optimizer.step()
        optimizer.zero_grad()

    train()
    times = [(seconds(lambda: vqgan.encode(images), device), seconds(train, device)) for _ in range(arguments.repeats)]
    encode, step = (sorted(column)[len(times) // 2] / batch for column in zip(*times, strict=True))
    print(f"{device.type}, batches of {batch}: encoding an image / a training step on its codes = {encode / step:.2f}")
    print(f"encoding: {1 / encode:.2f} images per second; {TOKENS * BYTES} bytes per image and view")


if __name__ == "__main__":
    main()
