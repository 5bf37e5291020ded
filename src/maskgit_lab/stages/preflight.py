"""Finds what cannot work before anything is trained or written: runs every network once, without its memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.lit.hardware import batch_on_device, check_hardware
from maskgit_lab.lit.optimizers import WarmedUp, make_optimizer, make_scheduler
from maskgit_lab.lit.trainer import check_trainer
from maskgit_lab.nets.building import build_net
from maskgit_lab.nets.files import check_fits
from maskgit_lab.objectives.perceptual import RANDOM
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.naming import find_run
from maskgit_lab.runs.record import Damaged
from maskgit_lab.runs.store import MANIFEST
from maskgit_lab.sampling.loading import check_decoder, decoder_of
from maskgit_lab.sampling.tokenizers import build_vqgan
from maskgit_lab.sampling.transformers import build_transformer
from maskgit_lab.settings import MASKGIT, CommonConf, Optim, TokenizerConf, TrainConf
from maskgit_lab.stages.classifier import build_classifier
from maskgit_lab.stages.start import Start, start_of
from maskgit_lab.stages.tokenizer import build_perceptual
from maskgit_lab.tokenizers.base import check_divides

STEPS = 1000  # of a training that is only tried
SMALLEST = 8  # pixels of an image for a discriminator


def preflight(settings: TrainConf, data: ImageData) -> None:
    """Raises a `UserError` for settings that fit the schema and that these data or this machine cannot take."""
    check_hardware(settings.trainer)
    check_trainer(settings)
    if settings.stage == "all" and settings.model == MASKGIT and not settings.steps:
        raise UserError("decode.steps is needed: name numbers of decoding steps, such as decode.steps=[4,8]")
    given = _given_weights(settings)
    _check_files(settings, *given)
    decoder, _ = decoder_of(settings)
    with torch.device("meta"):
        _run_networks(settings, data, *given)
    for optim in (settings.tokenizer.optim, settings.transformer.optim):
        batch_on_device(optim.batch_size, settings.trainer)
    check_decoder(decoder, settings)
    processes = settings.trainer.devices * settings.trainer.num_nodes
    if len(data.test) < processes:
        raise UserError(f"{len(data.test)} held-out images are too few for {processes} devices: lower trainer.devices")


def _check_files(settings: TrainConf, tokenizer: str | None, transformer: Start | None) -> None:
    """What would otherwise be found missing only after hours of training."""
    if transformer is not None and not transformer.path.exists():
        state = "holds no trained run" if Path(transformer.given).is_dir() else "is not there"
        raise UserError(
            f"{transformer.key}={transformer.given} {state}: give the path of "
            f"{'a file' if transformer.key == f'{settings.part}.weights' else 'a run or a file'}, or leave it out"
        )
    files = {
        "tokenizer.weights": tokenizer,
        "tokenizer.perceptual_weights": settings.tokenizer.perceptual_weights,
        "tokens.path": settings.tokens.path,
    }
    for key, value in files.items():
        if value not in (None, RANDOM) and not Path(value).exists():
            raise UserError(f"{key}={value} is not there: give the path of a file, or leave it out")
    if settings.tokens.path is not None and not (Path(settings.tokens.path) / MANIFEST).is_file():
        raise UserError(
            f"tokens.path={settings.tokens.path} is no finished entry of a cache: name a folder such as "
            "CACHE/tokens/NAME that has a manifest.json, or leave it out"
        )


def _given_weights(settings: TrainConf) -> tuple[str | None, Start | None]:
    """The file `tokenizer.weights` and that of the transformer, without those that the run has already begun with."""
    tokenizer, transformer = settings.tokenizer.weights, start_of(settings)
    if (home := find_run(settings)) is None:
        return tokenizer, transformer
    try:
        run = RunFolder(home, settings.cache_dir)
    except Damaged:  # its record is made again from what is there
        return tokenizer, transformer
    if run.record.tokenizer is not None:
        path = None if tokenizer is None else Path(tokenizer)
        _check_same(run, f"tokenizer.weights={tokenizer}", path, run.record.tokenizer.weights)
    if transformer is not None:
        _check_same(run, f"{transformer.key}={transformer.given}", transformer.path, run.record.begun_with)
    return (None if run.is_done("tokenizer") else tokenizer), (None if run.checkpoint.exists() else transformer)


def _check_same(run: RunFolder, given: str, path: Path | None, recorded: str | None) -> None:
    """Raises a `UserError` if a file is another one now than when the run began with it."""
    if path is not None and recorded is not None and path.is_file() and file_sha256(path) != recorded:
        raise UserError(
            f"{given} is not the file that the run in {run.path} started with: restore that one, or "
            "choose another run_dir"
        )


def _run_networks(
    settings: TrainConf, data: ImageData, tokenizer_file: str | None, transformer_start: Start | None
) -> None:
    images, labels = torch.empty(2, 3, data.size, data.size), torch.zeros(2, dtype=torch.int64)
    net = build_transformer(settings, data.size, data.n_classes)
    if transformer_start is not None:
        transformer_start.check(net, settings)
    _check_optim(net, settings.transformer.optim, f"{settings.part}.optim")
    shape = (2, net.n_tokens, net.n_codes)
    run = partial(net, torch.zeros(2, net.n_tokens, dtype=torch.int64), labels)
    _check_output(f"{settings.part}.net", run, shape, "the logits of every code at every token")
    tokenizer = build_vqgan(settings.tokenizer)
    _check_output("tokenizer.net", lambda: tokenizer(images)[0], tuple(images.shape), "reconstructions")
    if tokenizer_file is not None:
        check_fits(tokenizer, Path(tokenizer_file))
    elif settings.tokenizer.weights is None:
        size = settings.tokenizer.train_size or data.size
        check_divides(size, size, tokenizer.downsample)
        _run_losses(settings.tokenizer, torch.empty(2, 3, size, size))
        _check_optim(tokenizer, settings.tokenizer.optim, "tokenizer.optim")
    _run_classifiers(settings, data)


def check_classifiers(settings: CommonConf, data: ImageData) -> None:
    """Raises a `UserError` for classifiers that these data cannot take."""
    with torch.device("meta"):
        _run_classifiers(settings, data)


def _run_classifiers(settings: CommonConf, data: ImageData) -> None:
    for key, conf in (("classifier", settings.classifier), ("cas", settings.cas)):
        if conf is not None:
            classifier = build_classifier(conf, key, data)
            _check_optim(classifier, conf.optim, f"{key}.optim")
            size = conf.train_size or data.size
            run = partial(classifier, torch.empty(2, 3, size, size))
            _check_output(f"{key}.net", run, (2, data.n_classes), "the logits of every class")


def _run_losses(conf: TokenizerConf, images: torch.Tensor) -> None:
    _run_discriminator(conf, images.shape[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a network without memory takes no weights
        perceptual = build_perceptual(conf, is_tried=True)
    if perceptual is not None:
        perceptual = perceptual.to(images.device)
        _attempt("tokenizer.perceptual", lambda: perceptual(images, images))


def _run_discriminator(conf: TokenizerConf, size: int) -> None:
    """One that is switched off is tried too, on images of a size that any discriminator takes."""
    key = "tokenizer.discriminator"
    if conf.losses.adversarial == 0:
        size = 1 << max(SMALLEST - 1, size - 1).bit_length()
    critic = build_net(conf.discriminator, key, nn.Module, image_size=size)
    _check_output(key, partial(critic, torch.empty(2, 3, size, size)), (2,), "one logit for each image")
    _check_optim(critic, conf.optim, "tokenizer.optim")


def _check_optim(net: nn.Module, optim: Optim, key: str) -> None:
    """Raises a `UserError` for an optimizer or a schedule that cannot be built for a network, or makes no step."""
    scheduler = make_scheduler(make_optimizer(net, optim, key), optim, optim.warmup_steps + STEPS, key)
    if isinstance(scheduler, WarmedUp):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the optimizer has made no step
            scheduler.step_schedule()
    with torch.device("cpu"):  # the optimizer's own numbers too
        small = nn.utils.skip_init(nn.Linear, 4, 4)  # draws no random numbers
        for parameter in small.parameters():
            parameter.data.zero_()
            parameter.grad = torch.zeros_like(parameter)
        _attempt(f"{key}.optimizer", make_optimizer(small, optim, key).step, "make a step")


def _check_output(key: str, run: Callable[[], Any], shape: tuple[int, ...], what: str) -> None:
    """Raises a `UserError` if a network fails on two images, or returns something else than it has to."""
    found = _attempt(key, run)
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != shape:
        got = f"a tensor of {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise UserError(f"{key} returns {got} for 2 images, and not {what}, {shape}: change its settings")


def _attempt(key: str, run: Callable[[], Any], what: str = "run on these data") -> Any:
    try:
        return run()
    except Exception as error:  # whatever torch raises for impossible sizes
        raise UserError(f"{key} cannot {what} ({first_line(error)}): change its settings") from error
