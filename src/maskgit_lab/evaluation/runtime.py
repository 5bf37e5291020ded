"""The time of decoding tokens alone, which is what the paper's runtime figure shows (MaskGIT, section 4.2)."""

from __future__ import annotations

import time
from statistics import median

import torch
from torch import Tensor

from maskgit_lab.sampling.memory import in_parts_that_fit
from maskgit_lab.sampling.models import model_for
from maskgit_lab.sampling.pipeline import Pipeline

REPEATS = 3  # of which the median counts
ENOUGH = 1.0  # seconds after which none is begun: what takes so long is known well enough
SHORT = 2  # steps of the warm-up, which is enough to allocate memory and to choose kernels


@torch.inference_mode()
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
    chosen = labels[torch.linspace(0, len(labels) - 1, count).round().long()].to(pipeline.device)
    fitting = in_parts_that_fit(lambda batch: _decode(pipeline.at(SHORT), chosen, batch), range(count))
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < ENOUGH:
        times.append(_seconds(pipeline, chosen, fitting))
    return median(times) / count


def timed_on(device: torch.device, batch_size: int) -> str:
    """What a time depends on besides the model: the device, the threads of a CPU, and the batch."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    threads = f", threads: {torch.get_num_threads()}" if device.type == "cpu" else ""
    return f"{name}{threads}, images at once: {batch_size}"


def _seconds(pipeline: Pipeline, labels: Tensor, batches: list[range]) -> float:
    _wait(pipeline.device)
    start = time.perf_counter()
    for batch in batches:
        _decode(pipeline, labels, batch)
    _wait(pipeline.device)
    return time.perf_counter() - start


def _decode(pipeline: Pipeline, labels: Tensor, batch: range) -> range:
    tokens = torch.full((len(batch), pipeline.model.n_tokens), pipeline.mask_id, device=pipeline.device)
    tokens[0, 0] = 0  # one known token among all of the batch, without which the first step would be shared
    generators = [torch.Generator(pipeline.device).manual_seed(i) for i in batch]
    pipeline.decoder(model_for(pipeline.model), tokens, labels[batch.start : batch.stop], generators)
    return batch


def _wait(device: torch.device) -> None:
    getattr(torch, device.type).synchronize()
