"""The time of decoding tokens alone, which is what the paper's runtime figure shows (MaskGIT, section 4.2)."""

from __future__ import annotations

from statistics import median

import torch
from torch import Tensor

from maskgit_lab.evaluation.spread import spread_evenly
from maskgit_lab.evaluation.timing import Decoding, device_name, in_parts, repeated
from maskgit_lab.sampling.memory import in_parts_that_fit
from maskgit_lab.sampling.pipeline import Pipeline

REPEATS = 3  # of which the median counts
ENOUGH = 1.0  # seconds after which none is begun: what takes so long is known well enough


def decode_seconds_per_image(pipeline: Pipeline, labels: Tensor, batch_size: int) -> float:
    """Seconds to fill the tokens of an image that starts empty: T runs of the transformer, or one for each token, with
    sampling.

    Without the tokenizer and the transfer of its images, after a warm-up, and with every step for every image, where
    `Pipeline.sample` shares the first one within a class. One batch is decoded; where it does not fit the memory of a
    GPU, its halves are, one after the other.

    Args:
        pipeline: the model and its decoder, which knows T.
        labels: of images, of which as many as a batch takes are decoded, spread evenly.
        batch_size: images decoded at once.
    """
    count = min(batch_size, len(labels))
    chosen = labels[spread_evenly(len(labels), count)].to(pipeline.device)
    whole = Decoding(net=pipeline.model, decoder=pipeline.decoder, labels_B=chosen)

    def warm(batch: range) -> Decoding:
        part = whole.part(batch)
        part.warm_up()
        return part

    parts = in_parts_that_fit(warm, range(count))
    laps = repeated(lambda: in_parts(parts), REPEATS, ENOUGH)
    return median(lap.seconds for lap in laps) / count


def timed_on(device: torch.device, batch_size: int) -> str:
    """What a time depends on besides the model: the device, the threads of a CPU, and the batch."""
    threads = f", threads: {torch.get_num_threads()}" if device.type == "cpu" else ""
    return f"{device_name(device)}{threads}, images at once: {batch_size}"
