"""The tokenizer of a run: trained, found in the store, or a file's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from maskgit_lab import ranks
from maskgit_lab.code import code_of, targets_in
from maskgit_lab.data.source import ImageData
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.lit.extras import extras_of
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.nets.building import build_net
from maskgit_lab.objectives.perceptual import RANDOM
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.record import TokenizerRecord
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.store import WEIGHTS, Entry
from maskgit_lab.sampling.tokenizers import build_vqgan, load_tokenizer
from maskgit_lab.settings import TokenizerConf, TrainConf, added_to_training
from maskgit_lab.settings.callbacks import works_in
from maskgit_lab.stages.images import list_images, readable
from maskgit_lab.stages.watching import watched_tokenizer
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

# What a trained tokenizer does not depend on: it has no weights from elsewhere, and its images are known as they are.
UNRELATED = ("weights", "train_size")


def load_or_train_tokenizer(run: Run[TrainConf], data: ImageData) -> VQGANTokenizer:
    """The tokenizer of the run: the one that it has, or of the file that the settings name, found in the store, or
    trained now.
    """
    conf = run.settings.tokenizer
    if path := ranks.share(_recorded(run)):
        run.console.note("tokenizer", f"reused: {path}")
        return load_tokenizer(conf, path, run.device)
    if conf.weights is not None:
        entry = _copy(run, Path(conf.weights).resolve())
        run.console.note("tokenizer", f"read from {conf.weights}")
    else:
        entry = _find_or_train(run, _training_images(run, data))
        if entry.reused:
            run.console.note("tokenizer", f"found in the cache: {entry.path}")
    path = entry.path / WEIGHTS
    run.mark(tokenizer=TokenizerRecord(run.folder.recorded(path), entry.files[WEIGHTS], dict(entry.about)))
    return load_tokenizer(conf, path, run.device)


def _recorded(run: Run[TrainConf]) -> Path | None:
    """The file of the tokenizer that the run has already, if it is intact."""
    if (recorded := run.record.tokenizer) is None:
        return None
    path = run.folder.place(recorded.path)
    return path if path.is_file() and file_sha256(path) == recorded.weights else None


def _copy(run: Run[TrainConf], path: Path) -> Entry:
    """A file in the store, so that the run needs nothing else."""
    load_tokenizer(run.settings.tokenizer, path, run.device)  # finds what is wrong with it

    def copy(folder: Path) -> Mapping[str, Any]:
        if ranks.is_main():
            shutil.copyfile(path, folder / WEIGHTS)
        return {}

    return run.store.obtain("tokenizer", {"file": file_sha256(path)}, copy)


def _find_or_train(run: Run[TrainConf], images: ImageData) -> Entry:
    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training a VQGAN on {len(images.train):,} images for {run.settings.tokenizer.optim.duration}"
        with run.console.stage("tokenizer", what) as notes:
            scores = _train(run, images, folder)
            notes += [f"{name.split('/')[-1]} {value:.4g}" for name, value in scores.items()]
        return scores

    return run.store.obtain("tokenizer", tokenizer_ingredients(run.settings, images), train)


def build_perceptual(conf: TokenizerConf, is_tried: bool = False) -> nn.Module | None:
    """The perceptual loss, if it is switched on; one that is only tried needs no file of weights."""
    if conf.own_perceptual is None or conf.losses.perceptual == 0:
        return None
    node = dict(conf.own_perceptual)
    if is_tried and "weights" in node:
        node["weights"] = RANDOM
    return build_net(node, "tokenizer.perceptual", nn.Module)


def tokenizer_config(conf: TokenizerConf) -> dict[str, Any]:
    """The settings that a trained tokenizer depends on."""
    return {key: value for key, value in asdict(conf).items() if key not in UNRELATED}


def tokenizer_ingredients(settings: TrainConf, data: ImageData) -> dict[str, Any]:
    """What a trained tokenizer depends on."""
    conf = settings.tokenizer
    added = added_to_training(settings)
    callbacks = {name: node for name, node in added["callbacks"].items() if works_in(node, "tokenizer")}
    added = added | {"callbacks": callbacks} if callbacks else {"flags": added["flags"]}
    return {
        "config": tokenizer_config(conf),
        "data": data.fingerprint,
        "precision": settings.trainer.precision,
        **added,
        "code": code_of(__name__, *targets_in([asdict(conf), callbacks, settings.data])),
    }


def _training_images(run: Run[TrainConf], data: ImageData) -> ImageData:
    size = run.settings.tokenizer.train_size
    return data if size in (None, data.size) else readable(run, list_images(run.settings, size=size))


def _train(run: Run[TrainConf], data: ImageData, folder: Path) -> dict[str, float]:
    conf = run.settings.tokenizer
    seed_all(conf.seed)
    net = build_vqgan(conf)
    critic = None
    if conf.losses.adversarial > 0:
        critic = build_net(conf.discriminator, "tokenizer.discriminator", nn.Module, image_size=data.size)
    perceptual = build_perceptual(conf)
    module = LitTokenizer(net, conf.losses, conf.optim, conf.seed, critic, perceptual, conf.dead_codes)
    scores = fit(
        module,
        data.train,
        data.test,
        hardware=run.hardware,
        terminal=run.console,
        title="tokenizer",
        folder=folder,
        watched=watched_tokenizer(run, data),
        extras=extras_of(run.settings, "tokenizer", run.folder.path),
    )
    if ranks.is_main():
        VQGANTokenizer(module.best_net).save(folder / WEIGHTS)  # type: ignore[arg-type]
        (folder / LAST).unlink()
    return scores
