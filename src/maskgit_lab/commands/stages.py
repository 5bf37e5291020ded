"""The networks of a job, each trained or taken from the store: tokenizer, token cache, classifiers, transformer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from safetensors.torch import load_file, save_file

from maskgit_lab import config
from maskgit_lab.commands.job import Job, as_object, build, device_of, require_file
from maskgit_lab.data import tokens
from maskgit_lab.data.source import ImageData, Labelled, n_items
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import code_version, fingerprint
from maskgit_lab.lit.classifier import LitClassifier
from maskgit_lab.lit.fit import LAST, fit, read_checkpoint, seed_all
from maskgit_lab.lit.mvtm import IDENTITY_KEY, LitMVTM
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.settings import Optim, TokenizerLosses
from maskgit_lab.tokenizers.base import Tokenizer
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

WEIGHTS = "model.safetensors"
LIT_MODULES = ("maskgit_lab.lit.base", "maskgit_lab.lit.data", "maskgit_lab.lit.fit")
TOKENIZER_MODULES = (
    *("maskgit_lab.nets.vqgan", "maskgit_lab.nets.quantizer", "maskgit_lab.nets.discriminator"),
    *("maskgit_lab.objectives.quantization", "maskgit_lab.objectives.adversarial", "maskgit_lab.objectives.perceptual"),
    *("maskgit_lab.lit.tokenizer", *LIT_MODULES),
)
TOKENS_MODULES = ("maskgit_lab.data.tokens", "maskgit_lab.tokenizers.vqgan")
CLASSIFIER_MODULES = ("maskgit_lab.nets.classifier", "maskgit_lab.lit.classifier", *LIT_MODULES)


def tokenizer_ingredients(cfg: DictConfig, data: ImageData) -> dict[str, Any]:
    """What a trained tokenizer depends on."""
    return {
        "config": config.plain(cfg.tokenizer),
        "data": data.fingerprint,
        "precision": cfg.trainer.precision,
        "code": code_version(*TOKENIZER_MODULES),
    }


def obtain_tokenizer(job: Job) -> Tokenizer:
    """The tokenizer that the config describes, trained on the job's data or found in the store."""
    conf = job.cfg.tokenizer

    def train(folder: Path) -> Mapping[str, Any]:
        optim = as_object(conf.optim, Optim)
        what = f"training a VQGAN on {n_items(job.data.train):,} images for {optim.epochs} epochs"
        with job.terminal.stage("tokenizer", what) as notes:
            scores = _train_tokenizer(job, optim, folder)
            notes += [f"{name.split('/')[-1]} {value:.4g}" for name, value in scores.items()]
        return scores

    entry = job.store.obtain("tokenizer", tokenizer_ingredients(job.cfg, job.data), train)
    if entry.reused:
        job.terminal.reused("tokenizer", f"found in the cache: {entry.path}")
    job.run.mark_done("tokenizer", path=str(entry.path), **entry.about)
    return load_tokenizer(job.cfg, entry.path)


def load_tokenizer(cfg: DictConfig, folder: Path) -> VQGANTokenizer:
    """A tokenizer of the store, on the config's device."""
    path = require_file(folder / WEIGHTS, "the tokenizer's file")
    net = build(cfg.tokenizer.net, "tokenizer.net")
    return VQGANTokenizer.load(net, path).to(device_of(cfg.trainer.accelerator))


def _train_tokenizer(job: Job, optim: Optim, folder: Path) -> dict[str, float]:
    conf = job.cfg.tokenizer
    weights = as_object(conf.losses, TokenizerLosses)
    seed_all(conf.seed)
    net = build(conf.net, "tokenizer.net")
    critic = build(conf.discriminator, "tokenizer.discriminator", image_size=job.data.size) if weights.adversarial else None
    perceptual = build(conf.perceptual, "tokenizer.perceptual") if weights.perceptual else None
    module = LitTokenizer(net, weights, optim, conf.seed, critic, perceptual)
    scores = fit(
        module, job.data.train, job.data.test, hardware=job.hardware, terminal=job.terminal, title="tokenizer",
        folder=folder, logger=job.logger,
    )  # fmt: skip
    VQGANTokenizer(module.best_net).save(folder / WEIGHTS)  # type: ignore[arg-type]
    (folder / LAST).unlink()
    return scores


def obtain_tokens(job: Job, tokenizer: Tokenizer) -> tokens.TokenCache:
    """The codes of the job's images, encoded or found in the store."""
    device = device_of(job.cfg.trainer.accelerator)
    total = n_items(job.data.train) + n_items(job.data.test)
    ingredients = {
        "tokenizer": fingerprint(tokenizer_ingredients(job.cfg, job.data)),
        "data": job.data.fingerprint,
        "code": code_version(*TOKENS_MODULES),
    }

    def encode(folder: Path) -> Mapping[str, Any]:
        batch_size = job.cfg.eval.batch_size
        with job.terminal.stage("tokens", f"encoding {total:,} images"), job.terminal.bar("tokens", total) as advance:
            return tokens.write(
                job.data, lambda images: tokenizer.encode(images.to(device)), tokenizer.codebook_size, folder,
                batch_size, advance,
            )  # fmt: skip

    entry = job.store.obtain("tokens", ingredients, encode)
    if entry.reused:
        job.terminal.reused("tokens", f"found in the cache: {entry.path}")
    job.run.mark_done("tokens", path=str(entry.path))
    return tokens.TokenCache.open(entry.path)


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier and its accuracy on the held-out real images."""

    net: torch.nn.Module
    top1: float
    top5: float


def obtain_classifier(job: Job, conf: DictConfig) -> TrainedClassifier:
    """A classifier trained on the real training split, or found in the store."""
    ingredients = {
        "config": config.plain(conf),
        "data": job.data.fingerprint,
        "code": code_version(*CLASSIFIER_MODULES),
    }

    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training on {n_items(job.data.train):,} real images for {conf.optim.epochs} epochs"
        with job.terminal.stage("classifier", what) as notes:
            trained = train_classifier(job, conf, job.data.train, "classifier")
            notes.append(f"accuracy on held-out images {trained.top1:.4f}")
        save_file(trained.net.state_dict(), folder / WEIGHTS)
        return {"top1": trained.top1, "top5": trained.top5}

    entry = job.store.obtain("classifier", ingredients, train)
    if entry.reused:
        job.terminal.reused("classifier", f"found in the cache: {entry.path}")
    job.run.mark_done("classifier", path=str(entry.path), **entry.about)
    net = build(conf.net, "classifier", n_classes=job.data.n_classes)
    net.load_state_dict(load_file(entry.path / WEIGHTS))
    return TrainedClassifier(net.eval().to(device_of(job.cfg.trainer.accelerator)), **entry.about)


def train_classifier(job: Job, conf: DictConfig, train: Labelled, title: str) -> TrainedClassifier:
    """A classifier trained on these images and tested on the real held-out split."""
    seed_all(conf.seed)
    net = build(conf.net, "classifier", n_classes=job.data.n_classes)
    optim = as_object(conf.optim, Optim)
    module = LitClassifier(net, job.data.n_classes, optim, conf.label_smoothing, conf.seed)
    scores = fit(module, train, job.data.test, hardware=job.hardware, terminal=job.terminal, title=title)
    return TrainedClassifier(module.best_net, scores["classifier/top1"], scores["classifier/top5"])


def obtain_transformer(job: Job, cache: tokens.TokenCache, codebook_size: int) -> Transformer:
    """The run's transformer: trained, resumed or loaded, as its checkpoint has it."""
    conf = job.cfg.mvtm
    last = job.run.checkpoints / LAST
    if last.exists():
        _check_identity(read_checkpoint(last), last, job)
    if job.run.is_done(["mvtm"]) and last.exists():
        job.terminal.reused("mvtm", f"trained already: {last}")
        return load_transformer(job, cache, codebook_size)
    optim = as_object(conf.optim, Optim)
    schedule = job.train_schedule
    seed_all(job.cfg.seed)
    net = _build_transformer(job, cache, codebook_size)
    identity = {"fingerprint": job.run.record["fingerprint"], "settings": config.settings(job.cfg)}
    module = LitMVTM(net, schedule, optim, conf.label_smoothing, job.cfg.seed, identity)
    what = f"training on {len(cache.train):,} token grids for {optim.epochs} epochs, {schedule.name} schedule"
    with job.terminal.stage("mvtm", what if not last.exists() else f"resuming: {what}") as notes:
        scores = fit(
            module, cache.train, cache.test, hardware=job.hardware, terminal=job.terminal, title="mvtm",
            folder=job.run.checkpoints, logger=job.logger,
        )  # fmt: skip
        notes.append(f"held-out NLL {scores['mvtm/val_nll']:.3f}")
    job.run.mark_done("mvtm", **scores)
    return load_transformer(job, cache, codebook_size)


def load_transformer(job: Job, cache: tokens.TokenCache, codebook_size: int) -> Transformer:
    """The transformer of the run's last checkpoint: its averaged weights if it has an average."""
    last = job.run.checkpoints / LAST
    checkpoint = read_checkpoint(last)
    _check_identity(checkpoint, last, job)
    state: Any = checkpoint["state_dict"]
    prefix = "ema.module." if job.cfg.mvtm.optim.ema_decay > 0 else "net."
    net = _build_transformer(job, cache, codebook_size)
    net.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return net.eval().to(device_of(job.cfg.trainer.accelerator))


def _build_transformer(job: Job, cache: tokens.TokenCache, codebook_size: int) -> Transformer:
    height, width = cache.grid
    sizes = {"n_codes": codebook_size, "n_classes": job.data.n_classes, "n_tokens": height * width}
    return build(job.cfg.mvtm.net, "mvtm.net", **sizes)


def _check_identity(checkpoint: Mapping[str, Any], path: Path, job: Job) -> None:
    identity = checkpoint.get(IDENTITY_KEY)
    if not isinstance(identity, dict) or identity.get("fingerprint") != job.run.record["fingerprint"]:
        raise UserError(f"the checkpoint {path} was made with another config than this run's: put the run's own back")
