"""How far the time of sampling is from that of decoding alone: `python benchmarks/sampling_time.py RUN_DIR`, minutes.

Prints for each T the seconds per image of both, measured alternately in one run, and their ratio. Sampling
is what `images_per_second` measures: the first step is shared within a class, and the tokenizer's decoder and the
transfer of the images are in it. Decoding is `decode_seconds_per_image`: every step runs for every image, and nothing
else is in the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from maskgit_lab import Pipeline
from maskgit_lab.evaluation.runtime import decode_seconds_per_image

STEPS = (1, 2, 4, 8, 16, 32, 64)
REPEATS = 3
IMAGES, BATCH = 256, 128


def sampling_seconds(pipeline: Pipeline, labels: torch.Tensor) -> float:
    """Seconds to sample an image, as an evaluation does it."""
    start = time.perf_counter()
    pipeline.sample(labels, list(range(len(labels))), batch_size=BATCH)
    return (time.perf_counter() - start) / len(labels)


def main(say: Callable[[str], None] = print) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="the folder of a trained run")
    pipeline = Pipeline.load(parser.parse_args().run)
    labels = torch.arange(IMAGES) * len(pipeline.class_names) // IMAGES
    sampling_seconds(pipeline.at(1), labels)
    for steps in STEPS:
        at = pipeline.at(steps)
        pairs = [(sampling_seconds(at, labels), decode_seconds_per_image(at, labels, BATCH)) for _ in range(REPEATS)]
        sampling, decoding = (median(column) for column in zip(*pairs, strict=True))
        ratio = median(one / other for one, other in pairs)
        say(f"T = {steps:<3} sampling {sampling:.5f} s, decoding {decoding:.5f} s an image: {ratio:.2f}")


if __name__ == "__main__":
    main()
