"""The pictures of a run: reconstructions, samples by class, a grid filling up, and the curve.

Shapes: C classes, T steps, h x w tokens an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from maskgit_lab.axes import room_around
from maskgit_lab.data.source import ImageData, some_images
from maskgit_lab.evaluation.spread import spread_evenly
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.metrics.registry import Metric
from maskgit_lab.runs.results import FLOORS, Row, is_floor, over_repeats, samples_in
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.drawing import cover_masked, draw_grid
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import TrainConf
from maskgit_lab.tokenizers.base import Tokenizer

N_RECONSTRUCTIONS = 12
MOST_COLUMNS = 12
AT_ONCE = 32  # images decoded at once
PICTURES = 3  # the stream of seeds that pictures draw from
# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def draw_reconstructions(run: Run[TrainConf], data: ImageData, tokenizer: Tokenizer) -> None:
    """Held-out images over what the tokenizer makes of them."""
    originals = some_images(data.test, N_RECONSTRUCTIONS)
    rebuilt = tokenizer.decode(tokenizer.encode(originals.to(run.device))).cpu()
    pairs = to_uint8(torch.stack([originals, rebuilt]))
    path = run.folder.picture("reconstructions")
    draw_grid(pairs, path, title="Held-out images and their reconstructions", row_names=["image", "tokenizer"])
    run.logger.pictures({"reconstructions": path})


def draw_run(run: Run[TrainConf], pipeline: Pipeline, rows: Sequence[Row]) -> None:
    """Samples by class, the same samples filling up step by step, and the curve through some rows, if it has T."""
    conf, data = run.settings.eval, run.folder.data
    pipeline = pipeline.at(conf.picture_steps)
    how, has_curve = _how(pipeline), not pipeline.is_autoregressive
    with run.console.stage("pictures", f"samples, {how}; filling{' and curve' * has_curve}"):
        names = list(data.class_names)[: conf.picture_classes]
        labels = torch.arange(len(names)).repeat_interleave(conf.picture_columns)
        seeds = [mix_seeds(run.settings.seed, PICTURES, conf.picture_steps, i) for i in range(len(labels))]
        samples = pipeline.sample(labels, seeds, batch_size=AT_ONCE, keep_history=True)
        assert samples.history is not None
        title = f"{data.name}: samples by class, {how}"
        grid = samples.pixels.unflatten(0, (len(names), conf.picture_columns))
        draw_grid(grid, run.folder.picture("samples"), title=title, row_names=names)
        first = slice(None, None, conf.picture_columns)
        masked_CThw = (samples.history[first] == pipeline.model.mask_id).unflatten(-1, pipeline.grid)
        title = f"Decoding step by step, {how.partition(',')[0]}"
        _draw_filling(samples.pixels[first], masked_CThw, names, title, run.folder.picture("filling"))
        if has_curve:
            draw_curve(rows, run.folder.picture("curve"), f"{data.name}, {how.partition(',')[0]}")
    run.logger.pictures(run.folder.pictures())


def _how(pipeline: Pipeline) -> str:
    """How a pipeline decodes, in short."""
    settings = pipeline.decoder.settings
    if pipeline.is_autoregressive:
        return "one token after the other"
    return f"{settings.get('decode_schedule', 'no')} schedule, T = {settings.get('steps', pipeline.model.n_tokens)}"


def draw_curve(rows: Sequence[Row], path: Path, title: str) -> None:
    """Draws the metrics of one run over the number of decoding steps T, and what held-out images and their
    reconstructions reach where there are as many of them.
    """
    ordered = sorted((row for row, _ in over_repeats(samples_in(rows))), key=lambda row: row["steps"])
    floors = [row for row in rows if is_floor(row) and row["n_samples"] == ordered[0]["n_samples"]]
    drawn = [metric for metric in registry.of_rows(ordered) if metric.panel]
    panels = [(name, list(metrics)) for name, metrics in groupby(drawn, key=lambda metric: metric.panel)]
    panels = panels or [(m.label, [m]) for m in registry.of_rows(ordered) if m.better]  # such as of the NLL alone
    figure = Figure(figsize=(3.4 * len(panels), 3.2), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=10, parse_math=False)
    for axes, (name, metrics) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_floors(axes, metrics, floors)
        _draw_panel(axes, name, metrics, ordered, floors)
    figure.savefig(path)


def _draw_panel(
    axes: Axes, name: str, metrics: Sequence[Metric], ordered: Sequence[Row], floors: Sequence[Row]
) -> None:
    for colour, metric in zip(COLOURS, metrics, strict=False):
        points = [(row["steps"], row[metric.key]) for row in ordered if metric.key in row]
        style = "--" if metric.better is None else "o-"
        axes.plot(*zip(*points, strict=True), style, color=colour, label=metric.label, markersize=4)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.legend(fontsize=8, frameon=False)
    values = (row[metric.key] for row in (*ordered, *floors) for metric in metrics if metric.key in row)
    if (room := room_around(values)) is not None:
        axes.set_ylim(room)
    steps = [row["steps"] for row in ordered]
    axes.set_xscale("log", base=2)
    axes.set_xticks(steps, [str(t) for t in steps], fontsize=8)
    axes.minorticks_off()
    axes.set_xlabel("decoding steps T", fontsize=9)
    axes.set_title(name, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)


def _draw_floors(axes: Axes, metrics: Sequence[Metric], floors: Sequence[Row]) -> None:
    """Thin lines with their names, in the colours of the metrics."""
    for colour, metric in zip(COLOURS, metrics, strict=False):
        for row in (row for row in floors if metric.key in row):
            axes.axhline(row[metric.key], color=colour, linewidth=0.8, linestyle=":")
            at: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            text = axes.annotate(FLOORS[row["source"]], (0.01, row[metric.key]), (0, 1), **at, fontsize=6, color=colour)
            text.set_in_layout(False)


def _draw_filling(images: Tensor, masked_CThw: Tensor, names: Sequence[str], title: str, path: Path) -> None:
    """Grey cells are still masked; a token that was kept never changes, so the rest is as in the final image."""
    steps = masked_CThw.shape[1]
    shown = spread_evenly(steps, MOST_COLUMNS)
    columns = [cover_masked(images, masked_CThw[:, t]) for t in shown[:-1]] + [images]
    column_names = [f"t = {t + 1}" for t in shown]
    draw_grid(torch.stack(columns, dim=1), path, title=title, row_names=names, column_names=column_names)
