"""`sample.py`: images of chosen classes from a finished run, as PNG files."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from maskgit_lab import config
from maskgit_lab.ablation.drawing import draw_grid
from maskgit_lab.commands.checks import check_sample
from maskgit_lab.commands.free_folder import new_folder
from maskgit_lab.commands.saving import folder_names
from maskgit_lab.commands.trained import open_trained
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.seeds import mix_seeds

GRID = "grid.png"


def run(cfg: DictConfig) -> None:
    """Writes `out/<class>/<number>.png` for `n` images of each class, and `out/grid.png`."""
    check_sample(cfg)
    tokenizer = cfg.tokenizer.get("weights")
    if tokenizer is not None and not isinstance(tokenizer, str):
        raise UserError(f"tokenizer.weights={tokenizer} is no path: give the tokenizer's file")
    trained = open_trained(cfg.checkpoint, tokenizer, cfg.decode.schedule, cfg.accelerator)
    sampler = trained.sampler(cfg.decode.choice_temperature, cfg.decode.guidance)
    classes = _classes(config.plain(cfg).get("classes"), len(trained.class_names))
    out = new_folder(Path(cfg.out))
    labels = torch.tensor(classes).repeat_interleave(cfg.n)
    # An image is that of its class and its number, whatever else is asked for.
    seeds = [mix_seeds(cfg.seed, cfg.decode.steps, label, number) for label in classes for number in range(cfg.n)]
    terminal = Terminal()
    what = f"{len(labels)} images at T = {cfg.decode.steps}, {sampler.schedule.name} schedule"
    with terminal.stage("samples", what), terminal.bar("samples", len(labels)) as advance:
        images = sampler(labels, seeds, cfg.decode.steps, cfg.batch_size, advance).images
        _write(images.unflatten(0, (len(classes), cfg.n)), [trained.class_names[c] for c in classes], out)
    terminal.note("written", str(out))


def _classes(chosen: list[int] | None, n_classes: int) -> list[int]:
    if chosen is None:
        return list(range(n_classes))
    if unknown := [c for c in chosen if not 0 <= c < n_classes]:
        raise UserError(f"classes: there is no class {unknown[0]}; there are the classes 0 to {n_classes - 1}")
    return list(chosen)


def _write(images: Tensor, names: list[str], out: Path) -> None:
    for row, name in zip(images, folder_names(names, taken=[GRID]), strict=True):
        folder = out / name
        folder.mkdir()
        for i, image in enumerate(row):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:05}.png")
    shown = images[:10, :12]
    draw_grid(shown, out / GRID, title="Samples by class", row_names=names[:10])
