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
from maskgit_lab.commands.generation import Sampler
from maskgit_lab.commands.job import WEIGHTS, build, decode_schedule, device_of, require_file
from maskgit_lab.commands.modelling import load_transformer
from maskgit_lab.commands.run_folder import RunFolder, read_config, read_run
from maskgit_lab.commands.tokenizing import load_tokenizer
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.seeds import mix_seeds


def run(cfg: DictConfig) -> None:
    """Writes `out/<class>/<number>.png` for `n` images of each class, and `out/grid.png`."""
    check_sample(cfg)
    folder = read_run(Path(cfg.checkpoint))
    trained = read_config(folder.path)
    trained.trainer.accelerator = cfg.accelerator
    device_of(cfg.accelerator)
    data = build(trained.data, "data", ImageData)
    classes = _classes(config.plain(cfg).get("classes"), data)
    out = _free_folder(Path(cfg.out))
    sampler = _sampler(cfg, trained, folder, data)
    labels = torch.tensor(classes).repeat_interleave(cfg.n)
    terminal = Terminal()
    what = f"{len(labels)} images at T = {cfg.decode.steps}, {sampler.schedule.name} schedule"
    with terminal.stage("samples", what), terminal.bar("samples", len(labels)) as advance:
        images = sampler(labels, cfg.decode.steps, mix_seeds(cfg.seed), advance).images
        _write(images.unflatten(0, (len(classes), cfg.n)), [data.class_names[c] for c in classes], out)
    terminal.note("written", str(out))


def _sampler(cfg: DictConfig, trained: DictConfig, folder: RunFolder, data: ImageData) -> Sampler:
    if not folder.is_done(["mvtm"]):
        raise UserError(f"the run in {folder.path} is not trained to its end: give its train.py command again")
    schedule = decode_schedule(trained, cfg.decode.schedule or trained.decode.schedule)
    tokenizer = load_tokenizer(trained, _tokenizer_folder(folder))
    model = load_transformer(trained, folder, data)
    side = data.size // tokenizer.downsample
    temperature = cfg.decode.choice_temperature
    if temperature is None:
        temperature = trained.decode.choice_temperature
    return Sampler(model, tokenizer, (side, side), schedule, temperature, cfg.batch_size)


def _tokenizer_folder(folder: RunFolder) -> Path:
    done = folder.record["done"]["tokenizer"]
    weights = require_file(Path(done["path"]) / WEIGHTS, "the tokenizer's file")
    if file_sha256(weights) != done["weights"]:
        raise UserError(f"{weights} is not the tokenizer of {folder.path} any more: give its train.py command again")
    return weights.parent


def _classes(chosen: list[int] | None, data: ImageData) -> list[int]:
    if chosen is None:
        return list(range(data.n_classes))
    if unknown := [c for c in chosen if not 0 <= c < data.n_classes]:
        raise UserError(
            f"classes: there is no class {unknown[0]}; {data.name} has the classes 0 to {data.n_classes - 1}"
        )
    return list(chosen)


def _free_folder(out: Path) -> Path:
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"out={out} is there already and not empty: choose another folder, so that nothing is lost")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write out={out} ({error.strerror}): choose another folder") from error
    return out


def _write(images: Tensor, names: list[str], out: Path) -> None:
    for row, name in zip(images, names, strict=True):
        (out / name).mkdir()
        for i, image in enumerate(row):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(out / name / f"{i:05}.png")
    shown = images[:10, :12]
    draw_grid(shown, out / "grid.png", title="Samples by class", row_names=names[:10])
