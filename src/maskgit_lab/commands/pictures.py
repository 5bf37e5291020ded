"""The pictures of a run: reconstructions, samples by class, a grid filling up, and the curve.

Shapes: C classes, T steps, h x w tokens an image.
"""

from __future__ import annotations

from collections.abc import Collection

import torch

from maskgit_lab.ablation import drawing
from maskgit_lab.ablation.results import identity
from maskgit_lab.commands.generation import Sampler
from maskgit_lab.commands.job import Job
from maskgit_lab.data.source import some_images
from maskgit_lab.lit.logger import log_pictures
from maskgit_lab.metrics.features import to_uint8
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.tokenizers.base import Tokenizer

N_RECONSTRUCTIONS = 12
MOST_COLUMNS = 12
MOST_AT_ONCE = 32  # images decoded at once
PICTURES = 3  # the stream of seeds that pictures draw from


def draw_reconstructions(job: Job, tokenizer: Tokenizer) -> None:
    """Held-out images over what the tokenizer makes of them."""
    originals = some_images(job.data.test, N_RECONSTRUCTIONS)
    rebuilt = tokenizer.decode(tokenizer.encode(originals.to(job.device))).cpu()
    pairs = to_uint8(torch.stack([originals, rebuilt]))
    path = job.run.picture("reconstructions")
    drawing.draw_grid(pairs, path, title="Held-out images and their reconstructions", row_names=["image", "tokenizer"])
    log_pictures(job.logger, {"reconstructions": path})


def draw_run(job: Job, sampler: Sampler, points: Collection[str]) -> None:
    """Samples by class, the same samples filling up step by step, and the curve through some points."""
    steps = job.cfg.eval.picture_steps
    with job.terminal.stage("pictures", f"samples at T = {steps}, filling and curve"):
        per_class = job.cfg.eval.picture_columns
        names = list(job.data.class_names)[: job.cfg.eval.picture_classes]
        labels = torch.arange(len(names)).repeat_interleave(per_class)
        seeds = [mix_seeds(job.cfg.seed, PICTURES, steps, i) for i in range(len(labels))]
        samples = sampler(labels, seeds, steps, MOST_AT_ONCE, keep_history=True)
        assert samples.history is not None
        title = f"{job.data.name}: samples by class, {sampler.schedule.name} schedule, T = {steps}"
        grid = samples.images.unflatten(0, (len(names), per_class))
        drawing.draw_grid(grid, job.run.picture("samples"), title=title, row_names=names)
        _draw_filling(job, sampler, samples.images[::per_class], samples.history[::per_class], names)
        rows = [row for row in job.run.results.rows() if identity(row) in points]
        drawing.draw_curve(rows, job.run.picture("curve"), f"{job.data.name}, {sampler.schedule.name} schedule")
    log_pictures(job.logger, job.run.pictures())


def _draw_filling(
    job: Job, sampler: Sampler, images: torch.Tensor, history_CTN: torch.Tensor, names: list[str]
) -> None:
    """Grey cells are still masked; a token that was kept never changes, so the rest is as in the final image."""
    shown = torch.linspace(0, history_CTN.shape[1] - 1, min(MOST_COLUMNS, history_CTN.shape[1])).round().long().tolist()
    masked_CThw = (history_CTN == sampler.model.mask_id).unflatten(-1, sampler.grid)
    columns = [drawing.cover_masked(images, masked_CThw[:, t]) for t in shown[:-1]] + [images]
    drawing.draw_grid(
        torch.stack(columns, dim=1),
        job.run.picture("filling"),
        title=f"Decoding step by step, {sampler.schedule.name} schedule",
        row_names=names,
        column_names=[f"t = {t + 1}" for t in shown],
    )
