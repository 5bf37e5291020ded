"""The tokenizer of a run: trained, found in the store, or a file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from maskgit_lab import ranks
from maskgit_lab.data.source import ImageData
from maskgit_lab.fingerprints import code_version, file_sha256
from maskgit_lab.lit.fit import TRAINING_MODULES, fit, seed_all
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.objectives.perceptual import PerceptualLoss
from maskgit_lab.objects import build
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.record import TokenizerRecord
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.store import WEIGHTS
from maskgit_lab.sampling.networks import build_vqgan, load_tokenizer
from maskgit_lab.settings import TrainConf
from maskgit_lab.stages.images import list_images, readable
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

MODULES = (
    *("maskgit_lab.nets.vqgan", "maskgit_lab.nets.quantizer", "maskgit_lab.nets.discriminator"),
    *("maskgit_lab.objectives.quantization", "maskgit_lab.objectives.adversarial", "maskgit_lab.objectives.perceptual"),
    *("maskgit_lab.lit.tokenizer", "maskgit_lab.lit.dead_codes", *TRAINING_MODULES),
)
# What a trained tokenizer does not depend on: it has no weights from elsewhere, and its images are known as they are.
UNRELATED = ("weights", "train_size")


def load_or_train_tokenizer(run: Run[TrainConf], data: ImageData) -> VQGANTokenizer:
    """The tokenizer that the settings describe: of the file that they name, found in the store, or trained now."""
    conf = run.settings.tokenizer
    if conf.weights is not None:
        path = Path(conf.weights).expanduser().resolve()
        tokenizer = load_tokenizer(conf, path, run.device)
        run.console.note("tokenizer", f"read from {path}")
        run.mark(tokenizer=TokenizerRecord(str(path), file_sha256(path)))
        return tokenizer
    images = _training_images(run, data)

    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training a VQGAN on {len(images.train):,} images for {conf.optim.duration}"
        with run.console.stage("tokenizer", what) as notes:
            scores = _train(run, images, folder)
            notes += [f"{name.split('/')[-1]} {value:.4g}" for name, value in scores.items()]
        return scores

    entry = run.store.obtain("tokenizer", tokenizer_ingredients(run.settings, images), train)
    if entry.reused:
        run.console.note("tokenizer", f"found in the cache: {entry.path}")
    run.mark(tokenizer=TokenizerRecord(str(entry.path / WEIGHTS), entry.files[WEIGHTS], dict(entry.about)))
    return load_tokenizer(conf, entry.path / WEIGHTS, run.device)


def tokenizer_ingredients(settings: TrainConf, data: ImageData) -> dict[str, Any]:
    """What a trained tokenizer depends on."""
    return {
        "config": {key: value for key, value in asdict(settings.tokenizer).items() if key not in UNRELATED},
        "data": data.fingerprint,
        "precision": settings.trainer.precision,
        "code": code_version(*MODULES),
    }


def _training_images(run: Run[TrainConf], data: ImageData) -> ImageData:
    size = run.settings.tokenizer.train_size
    return data if size in (None, data.size) else readable(run, list_images(run.settings, size=size))


def _train(run: Run[TrainConf], data: ImageData, folder: Path) -> dict[str, float]:
    conf = run.settings.tokenizer
    seed_all(conf.seed)
    net = build_vqgan(conf)
    critic = perceptual = None
    if conf.losses.adversarial > 0:
        critic = build(conf.discriminator, "tokenizer.discriminator", nn.Module, image_size=data.size)
    if conf.losses.perceptual > 0 and conf.perceptual != "none":
        perceptual = PerceptualLoss(conf.perceptual, conf.perceptual_weights)
    module = LitTokenizer(net, conf.losses, conf.optim, conf.seed, critic, perceptual, conf.dead_codes)
    scores = fit(
        module,
        data.train,
        data.test,
        hardware=run.hardware,
        terminal=run.console,
        title="tokenizer",
        folder=folder,
        logger=run.logger.lightning,
    )
    if ranks.is_main():
        VQGANTokenizer(module.best_net).save(folder / WEIGHTS)  # type: ignore[arg-type]
        (folder / LAST).unlink()
    return scores
