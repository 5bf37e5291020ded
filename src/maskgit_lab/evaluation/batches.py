"""Images in batches, and their features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader

from maskgit_lab import lifeline
from maskgit_lab.data.source import Images
from maskgit_lab.lit.hardware import workers
from maskgit_lab.metrics.features import FeatureExtractor, Features
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.memory import in_parts_that_fit
from maskgit_lab.settings import CommonConf


def in_batches(count: int, batch_size: int) -> list[range]:
    """The numbers from 0 to `count`, in batches."""
    return [range(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def image_batches(run: Run[CommonConf], images: Images, batches: Sequence[range]) -> Iterator[UInt8[Tensor, "B 3 H W"]]:
    """Images as they are evaluated, in these batches, as 8-bit images."""
    return (to_uint8(batch) for batch in float_batches(run, images, batches))


def float_batches(run: Run[CommonConf], images: Images, batches: Sequence[range]) -> Iterator[Tensor]:
    """Images as they are evaluated, in these batches, (B, 3, H, W) in [0, 1]."""
    n_workers = workers(run.hardware) if images.decodes else 0
    rows, end = [list(batch) for batch in batches], lifeline.end_worker_with_parent
    loader = DataLoader(images, batch_sampler=rows, num_workers=n_workers, worker_init_fn=end)
    return (batch for batch, _ in loader)


def extract(extractor: FeatureExtractor, images: UInt8[Tensor, "B 3 H W"]) -> Features:
    """Features of 8-bit images; a batch that does not fit the memory of a GPU is halved."""
    parts = in_parts_that_fit(lambda rows: extractor(images[rows.start : rows.stop]).named(), range(len(images)))
    return Features(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})
