"""The tokenizer of a job: trained, found in the store, or a file's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from maskgit_lab import config, ranks
from maskgit_lab.commands.job import WEIGHTS, Job, as_object, build, device_of, require_file
from maskgit_lab.commands.sourcing import leave_out_unreadable, list_images
from maskgit_lab.data.source import ImageData
from maskgit_lab.fingerprints import code_version, file_sha256
from maskgit_lab.lit.checkpoints import LAST
from maskgit_lab.lit.fit import TRAINING_MODULES, fit, seed_all
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.nets.files import load_net
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.objectives.perceptual import PerceptualLoss
from maskgit_lab.settings import DeadCodes, Optim, TokenizerLosses
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

TOKENIZER_MODULES = (
    *("maskgit_lab.nets.vqgan", "maskgit_lab.nets.quantizer", "maskgit_lab.nets.discriminator"),
    *("maskgit_lab.objectives.quantization", "maskgit_lab.objectives.adversarial", "maskgit_lab.objectives.perceptual"),
    *("maskgit_lab.lit.tokenizer", "maskgit_lab.lit.dead_codes", *TRAINING_MODULES),
)
# What a trained tokenizer does not depend on: it has no weights from elsewhere, and they lie where they lie.
UNRELATED = ("weights", "train_size")


def obtain_tokenizer(job: Job) -> VQGANTokenizer:
    """The tokenizer that the config describes: of the file it names, trained, or found in the store."""
    conf = job.cfg.tokenizer
    if conf.weights is not None:
        path = Path(conf.weights).expanduser().resolve()
        tokenizer = load_tokenizer(job.cfg, path)
        job.terminal.note("tokenizer", f"read from {path}")
        job.run.mark_done("tokenizer", path=str(path), weights=file_sha256(path))
        return tokenizer
    data = _training_images(job)

    def train(folder: Path) -> Mapping[str, Any]:
        optim = as_object(conf.optim, Optim)
        what = f"training a VQGAN on {len(data.train):,} images for {how_long(optim)}"
        with job.terminal.stage("tokenizer", what) as notes:
            scores = _train(job, data, optim, folder)
            notes += [f"{name.split('/')[-1]} {value:.4g}" for name, value in scores.items()]
        return scores

    entry = job.store.obtain("tokenizer", tokenizer_ingredients(job.cfg, data), train)
    if entry.reused:
        job.terminal.note("tokenizer", f"found in the cache: {entry.path}")
    job.run.mark_done("tokenizer", path=str(entry.path / WEIGHTS), weights=entry.files[WEIGHTS], **entry.about)
    return load_tokenizer(job.cfg, entry.path / WEIGHTS)


def tokenizer_ingredients(cfg: DictConfig, data: ImageData) -> dict[str, Any]:
    """What a trained tokenizer depends on."""
    told = {key: value for key, value in config.plain(cfg.tokenizer).items() if key not in UNRELATED}
    return {
        "config": told,
        "data": data.fingerprint,
        "precision": cfg.trainer.precision,
        "code": code_version(*TOKENIZER_MODULES),
    }


def load_tokenizer(cfg: DictConfig, path: Path) -> VQGANTokenizer:
    """The config's tokenizer with the weights of a file, on the config's device.

    Raises:
        UserError: the file is absent or damaged, or does not fit `tokenizer.net`.
    """
    net = build(cfg.tokenizer.net, "tokenizer.net", VQGAN)
    load_net(net, require_file(path, "the tokenizer's file"))
    return VQGANTokenizer(net).to(device_of(cfg.trainer.accelerator))


def how_long(optim: Optim) -> str:
    """The length of a training in words."""
    return f"{optim.epochs:,} epochs" if optim.max_steps is None else f"{optim.max_steps:,} steps"


def _training_images(job: Job) -> ImageData:
    size = job.cfg.tokenizer.train_size
    if size is None or size == job.data.size:
        return job.data
    return leave_out_unreadable(job.cfg, list_images(job.cfg, size=size), job.store, job.terminal)


def _train(job: Job, data: ImageData, optim: Optim, folder: Path) -> dict[str, float]:
    conf = job.cfg.tokenizer
    weights = as_object(conf.losses, TokenizerLosses)
    seed_all(conf.seed)
    net = build(conf.net, "tokenizer.net", VQGAN)
    critic = perceptual = None
    if weights.adversarial > 0:
        critic = build(conf.discriminator, "tokenizer.discriminator", nn.Module, image_size=data.size)
    if weights.perceptual > 0 and conf.perceptual != "none":
        perceptual = PerceptualLoss(conf.perceptual, conf.perceptual_weights)
    module = LitTokenizer(net, weights, optim, conf.seed, critic, perceptual, as_object(conf.dead_codes, DeadCodes))
    scores = fit(
        module,
        data.train,
        data.test,
        hardware=job.hardware,
        terminal=job.terminal,
        title="tokenizer",
        folder=folder,
        logger=job.logger,
    )
    if ranks.is_main():
        VQGANTokenizer(module.best_net).save(folder / WEIGHTS)  # type: ignore[arg-type]
        (folder / LAST).unlink()
    return scores
