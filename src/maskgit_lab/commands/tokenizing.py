"""The tokenizer of a job and the codes of its images, each made or taken from the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from maskgit_lab import config
from maskgit_lab.commands.job import WEIGHTS, Job, as_object, build, device_of, require_file
from maskgit_lab.data import tokens
from maskgit_lab.data.source import ImageData, n_items
from maskgit_lab.fingerprints import code_version, fingerprint
from maskgit_lab.lit.fit import LAST, TRAINING_MODULES, fit, seed_all
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.settings import Optim, TokenizerLosses
from maskgit_lab.tokenizers.base import Tokenizer
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

TOKENIZER_MODULES = (
    *("maskgit_lab.nets.vqgan", "maskgit_lab.nets.quantizer", "maskgit_lab.nets.discriminator"),
    *("maskgit_lab.objectives.quantization", "maskgit_lab.objectives.adversarial", "maskgit_lab.objectives.perceptual"),
    *("maskgit_lab.lit.tokenizer", *TRAINING_MODULES),
)
TOKENS_MODULES = ("maskgit_lab.data.tokens", "maskgit_lab.tokenizers.vqgan")


def obtain_tokenizer(job: Job) -> Tokenizer:
    """The tokenizer that the config describes, trained on the job's data or found in the store."""
    optim = as_object(job.cfg.tokenizer.optim, Optim)

    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training a VQGAN on {n_items(job.data.train):,} images for {optim.epochs} epochs"
        with job.terminal.stage("tokenizer", what) as notes:
            scores = _train(job, optim, folder)
            notes += [f"{name.split('/')[-1]} {value:.4g}" for name, value in scores.items()]
        return scores

    entry = job.store.obtain("tokenizer", tokenizer_ingredients(job.cfg, job.data), train)
    if entry.reused:
        job.terminal.note("tokenizer", f"found in the cache: {entry.path}")
    job.run.mark_done("tokenizer", path=str(entry.path), weights=entry.files[WEIGHTS], **entry.about)
    return load_tokenizer(job.cfg, entry.path)


def tokenizer_ingredients(cfg: DictConfig, data: ImageData) -> dict[str, Any]:
    """What a trained tokenizer depends on."""
    return {
        "config": config.plain(cfg.tokenizer),
        "data": data.fingerprint,
        "precision": cfg.trainer.precision,
        "code": code_version(*TOKENIZER_MODULES),
    }


def load_tokenizer(cfg: DictConfig, folder: Path) -> VQGANTokenizer:
    """A tokenizer of the store, on the config's device."""
    path = require_file(folder / WEIGHTS, "the tokenizer's file")
    net = build(cfg.tokenizer.net, "tokenizer.net", VQGAN)
    return VQGANTokenizer.load(net, path).to(device_of(cfg.trainer.accelerator))


def _train(job: Job, optim: Optim, folder: Path) -> dict[str, float]:
    conf = job.cfg.tokenizer
    weights = as_object(conf.losses, TokenizerLosses)
    seed_all(conf.seed)
    net = build(conf.net, "tokenizer.net", VQGAN)
    critic = perceptual = None
    if weights.adversarial > 0:
        critic = build(conf.discriminator, "tokenizer.discriminator", nn.Module, image_size=job.data.size)
    if weights.perceptual > 0:
        perceptual = build(conf.perceptual, "tokenizer.perceptual", nn.Module)
    module = LitTokenizer(net, weights, optim, conf.seed, critic, perceptual)
    scores = fit(
        module,
        job.data.train,
        job.data.test,
        hardware=job.hardware,
        terminal=job.terminal,
        title="tokenizer",
        folder=folder,
        logger=job.logger,
    )
    VQGANTokenizer(module.best_net).save(folder / WEIGHTS)  # type: ignore[arg-type]
    (folder / LAST).unlink()
    return scores


def obtain_tokens(job: Job, tokenizer: Tokenizer) -> tokens.TokenCache:
    """The codes of the job's images, encoded or found in the store."""
    ingredients = {
        "tokenizer": fingerprint(tokenizer_ingredients(job.cfg, job.data)),
        "data": job.data.fingerprint,
        "code": code_version(*TOKENS_MODULES),
    }

    def encode(folder: Path) -> Mapping[str, Any]:
        total = n_items(job.data.train) + n_items(job.data.test)
        with job.terminal.stage("tokens", f"encoding {total:,} images"), job.terminal.bar("tokens", total) as advance:
            return tokens.write(
                job.data,
                lambda images: tokenizer.encode(images.to(job.device)),
                tokenizer.codebook_size,
                folder,
                job.cfg.eval.batch_size,
                advance,
            )

    entry = job.store.obtain("tokens", ingredients, encode)
    if entry.reused:
        job.terminal.note("tokens", f"found in the cache: {entry.path}")
    job.run.mark_done("tokens", path=str(entry.path), digest=entry.digest)
    return tokens.TokenCache.open(entry.path)
