"""Finds what cannot work before anything is trained or written: runs every network once, without its memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from maskgit_lab.data.source import ImageData
from maskgit_lab.devices import device_of
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.lit.hardware import batch_on_device
from maskgit_lab.nets.files import check_fits
from maskgit_lab.objectives.perceptual import RANDOM, PerceptualLoss
from maskgit_lab.objects import build
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.naming import find_run
from maskgit_lab.sampling.loading import decoder_of
from maskgit_lab.sampling.tokenizers import build_vqgan
from maskgit_lab.sampling.transformers import build_transformer
from maskgit_lab.settings import Hardware, TokenizerConf, TrainConf
from maskgit_lab.stages.classifier import build_classifier
from maskgit_lab.tokenizers.base import check_divides


def preflight(settings: TrainConf, data: ImageData) -> None:
    """Raises a `UserError` for settings that fit the schema and that these data or this machine cannot take."""
    _check_hardware(settings.trainer)
    given = _given_weights(settings)
    _check_files(settings, *given)
    decoder, _ = decoder_of(settings)
    with torch.device("meta"):
        _run_networks(settings, data, *given)
    for optim in (settings.tokenizer.optim, settings.mvtm.optim):
        batch_on_device(optim.batch_size, settings.trainer)
    decoder.check(settings.mvtm.label_dropout)
    processes = settings.trainer.devices * settings.trainer.num_nodes
    if len(data.test) < processes:
        raise UserError(f"{len(data.test)} held-out images are too few for {processes} devices: lower trainer.devices")


def _check_hardware(trainer: Hardware) -> None:
    device = device_of(trainer.accelerator)
    if device.type == "cpu" and trainer.precision == "16-mixed":
        raise UserError("trainer.precision=16-mixed needs a GPU: choose bf16-mixed or 32-true")
    there = torch.cuda.device_count() if device.type == "cuda" else 1
    if device.type != "cpu" and trainer.devices > there:
        raise UserError(f"trainer.devices={trainer.devices} is more than the {there} of this machine: lower it")


def _check_files(settings: TrainConf, tokenizer: str | None, transformer: str | None) -> None:
    """What would otherwise be found missing only after hours of training."""
    files = {
        "tokenizer.weights": tokenizer,
        "tokenizer.perceptual_weights": settings.tokenizer.perceptual_weights,
        "tokens.path": settings.tokens.path,
        "mvtm.weights": transformer,
    }
    for key, value in files.items():
        if value not in (None, RANDOM) and not Path(value).expanduser().exists():
            raise UserError(f"{key}={value} is not there: give the path of a file, or leave it out")


def _given_weights(settings: TrainConf) -> tuple[str | None, str | None]:
    """The files `tokenizer.weights` and `mvtm.weights`, without those that the run has already begun with."""
    tokenizer, transformer = settings.tokenizer.weights, settings.mvtm.weights
    if (path := find_run(settings)) is None:
        return tokenizer, transformer
    run = RunFolder(path, settings.cache_dir)
    if run.record.tokenizer is not None:
        _check_same(run, "tokenizer.weights", tokenizer, run.record.tokenizer.weights)
    _check_same(run, "mvtm.weights", transformer, run.record.begun_with)
    return (None if run.is_done("tokenizer") else tokenizer), (None if run.checkpoint.exists() else transformer)


def _check_same(run: RunFolder, key: str, file: str | None, recorded: str | None) -> None:
    """Raises a `UserError` if a file is another one now than when the run began with it."""
    path = None if file is None else Path(file).expanduser()
    if path is not None and recorded is not None and path.is_file() and file_sha256(path) != recorded:
        raise UserError(
            f"{key}={file} is another file than the one that the run in {run.path} began with: put that back, or "
            "choose another run_dir"
        )


def _run_networks(
    settings: TrainConf, data: ImageData, tokenizer_file: str | None, transformer_file: str | None
) -> None:
    images, labels = torch.empty(2, 3, data.size, data.size), torch.zeros(2, dtype=torch.int64)
    net = build_transformer(settings, data.size, data.n_classes)
    if transformer_file is not None:
        check_fits(net, Path(transformer_file).expanduser())
    _attempt("mvtm.net", lambda: net(torch.zeros(2, net.n_tokens, dtype=torch.int64), labels))
    tokenizer = build_vqgan(settings.tokenizer)
    _attempt("tokenizer.net", lambda: tokenizer(images))
    if tokenizer_file is not None:
        check_fits(tokenizer, Path(tokenizer_file).expanduser())
    elif settings.tokenizer.weights is None:
        size = settings.tokenizer.train_size or data.size
        check_divides(size, size, tokenizer.downsample)
        _run_losses(settings.tokenizer, torch.empty(2, 3, size, size))
    for key, conf in (("classifier", settings.classifier), ("cas", settings.cas)):
        if conf is not None:
            _attempt(f"{key}.net", partial(build_classifier(conf, key, data), images))


def _run_losses(conf: TokenizerConf, images: torch.Tensor) -> None:
    if conf.losses.adversarial > 0:
        key = "tokenizer.discriminator"
        critic = build(conf.discriminator, key, nn.Module, image_size=images.shape[2])
        _attempt(key, lambda: critic(images))
    if conf.losses.perceptual > 0 and conf.perceptual != "none":
        loss = PerceptualLoss(conf.perceptual, RANDOM)
        _attempt("tokenizer.perceptual", lambda: loss(images, images))


def _attempt(key: str, run: Callable[[], object]) -> None:
    try:
        run()
    except Exception as error:  # whatever torch raises for impossible sizes
        raise UserError(f"{key} cannot run on these data ({first_line(error)}): change its settings") from error
