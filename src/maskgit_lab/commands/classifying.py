"""Classifiers: of real images, taken from the store where they are there, and of samples, for CAS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from safetensors.torch import load_file

from maskgit_lab import config, ranks
from maskgit_lab.commands.job import WEIGHTS, Bench, as_object, build, by_main
from maskgit_lab.commands.tokenizing import how_long
from maskgit_lab.data.augment import Augmented
from maskgit_lab.data.source import Images
from maskgit_lab.fingerprints import code_version, fingerprint
from maskgit_lab.lit.checkpoints import LAST
from maskgit_lab.lit.classifier import LitClassifier
from maskgit_lab.lit.fit import TRAINING_MODULES, fit, seed_all
from maskgit_lab.nets.classifier import Classifier
from maskgit_lab.nets.files import write_arrays
from maskgit_lab.settings import Optim
from maskgit_lab.store import Entry

CLASSIFIER_MODULES = (
    *("maskgit_lab.nets.classifier", "maskgit_lab.lit.classifier", "maskgit_lab.data.augment", *TRAINING_MODULES),
)


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier and its accuracy on the held-out real images, fractions in [0, 1]."""

    net: Classifier
    top1: float
    top5: float
    path: Path
    identity: str  # of its weights


def obtain_classifier(bench: Bench, conf: DictConfig) -> TrainedClassifier:
    """A classifier trained on the real training split, or found in the store.

    Raises:
        UserError: there are no real images.
    """
    data = bench.need_data("a classifier of real images")
    ingredients = {
        "config": config.plain(conf),
        "data": data.fingerprint,
        "precision": bench.cfg.trainer.precision,
        "code": code_version(*CLASSIFIER_MODULES),
    }
    path = bench.store.path("classifier", ingredients)
    if path.name not in bench.known:
        if _together(bench):
            entry = _obtain(bench, conf, ingredients)
        else:
            entry = by_main(bench, lambda alone: _obtain(alone, conf, ingredients))
        net = build(conf.net, "classifier", Classifier, n_classes=data.n_classes)  # type: ignore[type-abstract]
        net.load_state_dict(load_file(entry.path / WEIGHTS))
        bench.known[path.name] = TrainedClassifier(
            net.eval().to(bench.device), **entry.about, path=entry.path, identity=entry.files[WEIGHTS]
        )
    return bench.known[path.name]


def train_on_samples(bench: Bench, samples: Images, folder: Path) -> dict[str, float]:
    """Classification accuracy score (Ravuri and Vinyals 2019): trained on samples alone, tested on real images.

    Args:
        bench: with the real images, and the classifier in its config's `cas`.
        samples: with the classes that they were made for.
        folder: keeps checkpoints, from which a training that was killed goes on.

    Returns:
        `cas_top1` and `cas_top5`, and with `cas_real_` the same of a classifier trained on real images.
    """
    conf, folder = bench.cfg.cas, folder / f"cas-{cas_identity(bench)}"
    real = obtain_classifier(bench, conf)
    if _together(bench):
        scores = _train(bench, conf, samples, "CAS", folder)[1]
    else:
        scores = by_main(bench, lambda alone: _train(alone, conf, samples, "CAS", folder)[1])
    made = {f"cas_{name}": value for name, value in scores.items()}
    return made | {"cas_real_top1": real.top1, "cas_real_top5": real.top5}


def cas_identity(bench: Bench) -> str:
    """What a score of CAS depends on besides the samples."""
    data = bench.need_data("CAS")
    precision = bench.cfg.trainer.precision
    return fingerprint({"cas": config.plain(bench.cfg.cas), "data": data.fingerprint, "precision": precision})


def _together(bench: Bench) -> bool:
    """On GPUs all processes train, with BatchNorm over all of them, which torch does not have on the CPU."""
    return bench.device.type == "cuda" or ranks.world_size() == 1 or not bench.together


def _obtain(bench: Bench, conf: DictConfig, ingredients: Mapping[str, Any]) -> Entry:
    data = bench.need_data("a classifier of real images")

    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training on {len(data.train):,} real images for {how_long(as_object(conf.optim, Optim))}"
        with bench.terminal.stage("classifier", what) as notes:
            net, scores = _train(bench, conf, data.train, "classifier", folder)
            notes.append(f"accuracy on held-out images {scores['top1']:.4f}")
        if ranks.is_main():
            write_arrays(net.state_dict(), folder / WEIGHTS)
            (folder / LAST).unlink()
        return scores

    entry = bench.store.obtain("classifier", ingredients, train)
    if entry.reused:
        bench.terminal.note("classifier", f"found in the cache: {entry.path}")
    return entry


def _train(
    bench: Bench, conf: DictConfig, train: Images, title: str, folder: Path
) -> tuple[Classifier, dict[str, float]]:
    data = bench.need_data("a classifier of real images")
    if conf.augment.n_ops > 0:
        train = Augmented(train, conf.augment.n_ops, conf.augment.magnitude, conf.seed)
    seed_all(conf.seed)
    net = build(conf.net, "classifier", Classifier, n_classes=data.n_classes)  # type: ignore[type-abstract]
    optim = as_object(conf.optim, Optim)
    module = LitClassifier(net, data.n_classes, optim, conf.label_smoothing, conf.seed, bench.together)
    scores = fit(module, train, data.test, hardware=bench.hardware, terminal=bench.terminal, title=title, folder=folder)
    best = module.best_net
    assert isinstance(best, Classifier)
    return best, {name: scores[f"classifier/{name}"] for name in ("top1", "top5")}
