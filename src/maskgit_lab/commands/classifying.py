"""Classifiers: of real images, taken from the store where they are there, and of samples, for CAS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from safetensors.torch import load_file

from maskgit_lab import config
from maskgit_lab.commands.job import WEIGHTS, Job, as_object, build
from maskgit_lab.data.source import Labelled
from maskgit_lab.fingerprints import code_version
from maskgit_lab.lit.classifier import LitClassifier
from maskgit_lab.lit.fit import TRAINING_MODULES, fit, seed_all
from maskgit_lab.nets.classifier import SmallConvNet
from maskgit_lab.nets.files import write_arrays
from maskgit_lab.settings import Optim

CLASSIFIER_MODULES = ("maskgit_lab.nets.classifier", "maskgit_lab.lit.classifier", *TRAINING_MODULES)


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier and its accuracy on the held-out real images, fractions in [0, 1]."""

    net: SmallConvNet
    top1: float
    top5: float


def obtain_classifier(job: Job, conf: DictConfig) -> TrainedClassifier:
    """A classifier trained on the real training split, or found in the store."""
    ingredients = {
        "config": config.plain(conf),
        "data": job.data.fingerprint,
        "precision": job.cfg.trainer.precision,
        "code": code_version(*CLASSIFIER_MODULES),
    }

    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training on {len(job.data.train):,} real images for {conf.optim.epochs} epochs"
        with job.terminal.stage("classifier", what) as notes:
            trained = train_classifier(job, conf, job.data.train, "classifier")
            notes.append(f"accuracy on held-out images {trained.top1:.4f}")
        write_arrays(trained.net.state_dict(), folder / WEIGHTS)
        return {"top1": trained.top1, "top5": trained.top5}

    entry = job.store.obtain("classifier", ingredients, train)
    if entry.reused and job.run.record["done"].get("classifier", {}).get("path") != str(entry.path):
        job.terminal.note("classifier", f"found in the cache: {entry.path}")
    job.run.mark_done("classifier", path=str(entry.path), **entry.about)
    net = build(conf.net, "classifier", SmallConvNet, n_classes=job.data.n_classes)
    net.load_state_dict(load_file(entry.path / WEIGHTS))
    return TrainedClassifier(net.eval().to(job.device), **entry.about)


def train_classifier(job: Job, conf: DictConfig, train: Labelled, title: str) -> TrainedClassifier:
    """A classifier trained on these images and tested on the real held-out split."""
    seed_all(conf.seed)
    net = build(conf.net, "classifier", SmallConvNet, n_classes=job.data.n_classes)
    module = LitClassifier(net, job.data.n_classes, as_object(conf.optim, Optim), conf.label_smoothing, conf.seed)
    scores = fit(module, train, job.data.test, hardware=job.hardware, terminal=job.terminal, title=title)
    best = module.best_net
    assert isinstance(best, SmallConvNet)
    return TrainedClassifier(best, scores["classifier/top1"], scores["classifier/top5"])
