"""Finds what cannot work before anything is trained or written: runs every network once, without its memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from omegaconf import DictConfig
from torch import nn

from maskgit_lab.commands.job import build, decode_schedule, device_of
from maskgit_lab.commands.modelling import build_transformer
from maskgit_lab.data.source import ImageData, n_items
from maskgit_lab.errors import UserError
from maskgit_lab.nets.classifier import SmallConvNet
from maskgit_lab.nets.vqgan import VQGAN


def rehearse(cfg: DictConfig, data: ImageData) -> None:
    """Raises a `UserError` for settings that fit the schema and that these data or this machine cannot take."""
    device = device_of(cfg.trainer.accelerator)
    if device.type == "cpu" and cfg.trainer.precision == "16-mixed":
        raise UserError("trainer.precision=16-mixed needs a GPU: choose bf16-mixed or 32-true")
    decode_schedule(cfg, cfg.decode.schedule)
    with torch.device("meta"):
        _run_networks(cfg, data)
    n_train = n_items(data.train)
    if cfg.eval.neighbours >= n_train:
        raise UserError(f"eval.neighbours={cfg.eval.neighbours} is not below the number of images, {n_train}: lower it")
    if 2 * cfg.eval.splits > n_train:
        raise UserError(f"eval.splits={cfg.eval.splits} is too many for the {n_train} images there are: lower it")


def _run_networks(cfg: DictConfig, data: ImageData) -> None:
    images, labels = torch.empty(2, 3, data.size, data.size), torch.zeros(2, dtype=torch.int64)
    net = build_transformer(cfg, data)
    _attempt("mvtm.net", lambda: net(torch.zeros(2, net.n_tokens, dtype=torch.int64), labels))
    tokenizer = build(cfg.tokenizer.net, "tokenizer.net", VQGAN)
    _attempt("tokenizer.net", lambda: tokenizer(images))
    if cfg.tokenizer.losses.adversarial > 0:
        key = "tokenizer.discriminator"
        critic = build(cfg.tokenizer.discriminator, key, nn.Module, image_size=data.size)
        _attempt(key, lambda: critic(images))
    for key, conf in (("features.classifier.net", cfg.features.classifier), ("eval.cas.net", cfg.eval.cas)):
        if conf is not None:
            classifier = build(conf.net, key, SmallConvNet, n_classes=data.n_classes)
            _attempt(key, partial(classifier, images))


def _attempt(key: str, run: Callable[[], object]) -> None:
    try:
        run()
    except Exception as error:  # whatever torch says of impossible sizes
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise UserError(f"{key} cannot run on these data ({reason}): change its settings") from error
