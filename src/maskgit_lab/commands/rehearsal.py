"""Finds what cannot work before anything is trained or written: runs every network once, without its memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from maskgit_lab.commands.generation import check_guidance
from maskgit_lab.commands.job import as_object, build, decode_schedule, device_of
from maskgit_lab.commands.modelling import build_transformer
from maskgit_lab.commands.referencing import check_enough, check_same_size, real_images
from maskgit_lab.commands.scoring import choices_of
from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.lit.fit import batch_on_device
from maskgit_lab.metrics.pretrained import ensure_weights
from maskgit_lab.nets.classifier import Classifier
from maskgit_lab.nets.files import check_fits
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.objectives.perceptual import RANDOM, PerceptualLoss
from maskgit_lab.settings import Hardware
from maskgit_lab.tokenizers.base import check_divides

FILES = ("tokenizer.weights", "tokenizer.perceptual_weights", "tokens.path", "mvtm.weights")


def rehearse(cfg: DictConfig, data: ImageData) -> None:
    """Raises a `UserError` for settings that fit the schema and that these data or this machine cannot take."""
    device = device_of(cfg.trainer.accelerator)
    if device.type == "cpu" and cfg.trainer.precision == "16-mixed":
        raise UserError("trainer.precision=16-mixed needs a GPU: choose bf16-mixed or 32-true")
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type != "cpu" and cfg.trainer.devices > there:
        raise UserError(f"trainer.devices={cfg.trainer.devices} is more than the {there} there are: lower it")
    decode_schedule(cfg, cfg.decode.schedule)
    _check_files(cfg)
    with torch.device("meta"):
        _run_networks(cfg, data)
    for key in ("tokenizer.optim", "mvtm.optim"):
        batch_on_device(OmegaConf.select(cfg, key).batch_size, as_object(cfg.trainer, Hardware))
    check_guidance("decode.guidance", cfg.decode.guidance, cfg.mvtm.label_dropout)
    processes = cfg.trainer.devices * cfg.trainer.num_nodes
    if len(data.test) < processes:
        raise UserError(f"{len(data.test)} held-out images are too few for {processes} devices: lower trainer.devices")
    if cfg.stage != "all":
        return
    real = real_images(cfg.eval.reference, data)
    check_same_size((data.size, data.size), real)
    choices_of(cfg.eval).check(cfg.eval.n_samples or len(data.train))
    check_enough(choices_of(cfg.eval), real)


def _check_files(cfg: DictConfig) -> None:
    """What would otherwise be found missing only after hours of training."""
    for key in FILES:
        value = OmegaConf.select(cfg, key)
        if value not in (None, RANDOM) and not Path(value).expanduser().exists():
            raise UserError(f"{key}={value} is not there: give the path of a file, or leave it out")
    if cfg.stage in ("tokenizer", "all"):
        check_extractors(cfg)


def check_extractors(cfg: DictConfig) -> None:
    """Finds or downloads the weights of the extractors.

    Raises:
        UserError: they are not to be had.
    """
    ensure_weights(cfg.features.name, cfg.features.weights, "features.weights")
    if cfg.eval.precision_features is not None:
        ensure_weights(cfg.eval.precision_features, cfg.eval.precision_weights, "precision_weights")


def _run_networks(cfg: DictConfig, data: ImageData) -> None:
    images, labels = torch.empty(2, 3, data.size, data.size), torch.zeros(2, dtype=torch.int64)
    net = build_transformer(cfg, data)
    if cfg.mvtm.weights is not None:
        check_fits(net, Path(cfg.mvtm.weights).expanduser())
    _attempt("mvtm.net", lambda: net(torch.zeros(2, net.n_tokens, dtype=torch.int64), labels))
    tokenizer = build(cfg.tokenizer.net, "tokenizer.net", VQGAN)
    _attempt("tokenizer.net", lambda: tokenizer(images))
    if cfg.tokenizer.weights is not None:
        check_fits(tokenizer, Path(cfg.tokenizer.weights).expanduser())
    else:
        size = cfg.tokenizer.train_size or data.size
        check_divides(size, size, tokenizer.downsample)
        _run_losses(cfg, torch.empty(2, 3, size, size))
    for key in ("classifier", "cas"):
        if (conf := cfg[key]) is not None:
            classifier = build(conf.net, f"{key}.net", Classifier, n_classes=data.n_classes)  # type: ignore[type-abstract]
            _attempt(f"{key}.net", partial(classifier, images))


def _run_losses(cfg: DictConfig, images: torch.Tensor) -> None:
    conf, size = cfg.tokenizer, images.shape[2]
    if conf.losses.adversarial > 0:
        key = "tokenizer.discriminator"
        critic = build(conf.discriminator, key, nn.Module, image_size=size)
        _attempt(key, lambda: critic(images))
    if conf.losses.perceptual > 0 and conf.perceptual != "none":
        loss = PerceptualLoss(conf.perceptual, RANDOM)
        _attempt("tokenizer.perceptual", lambda: loss(images, images))


def _attempt(key: str, run: Callable[[], object]) -> None:
    try:
        run()
    except Exception as error:  # whatever torch says of impossible sizes
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise UserError(f"{key} cannot run on these data ({reason}): change its settings") from error
