"""Classifiers: of real images, found in the store where they are there, and of samples, for CAS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from maskgit_lab import ranks
from maskgit_lab.code import code_of, targets_in
from maskgit_lab.data.augment import Augmented
from maskgit_lab.data.source import ImageData, Images
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.lit.classifier import LitClassifier
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.nets.classifier import Classifier
from maskgit_lab.nets.files import write_arrays
from maskgit_lab.objects import build
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.store import WEIGHTS, Entry
from maskgit_lab.settings import ClassifierConf, CommonConf


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier and its accuracy on the held-out real images, fractions in [0, 1]."""

    net: Classifier
    top1: float
    top5: float
    path: Path
    identity: str  # of its weights


def load_or_train_classifier(run: Run[CommonConf], data: ImageData, conf: ClassifierConf) -> TrainedClassifier:
    """A classifier trained on the real training split, or found in the store."""
    ingredients = {
        "config": asdict(conf),
        "data": data.fingerprint,
        "precision": run.settings.trainer.precision,
        "code": code_of(__name__, *targets_in([asdict(conf), run.settings.data])),
    }
    path = run.store.path("classifier", ingredients)
    if path.name not in run.memory:
        entry = _together(run, lambda own: _find_or_train(own, data, conf, ingredients))
        net = build_classifier(conf, "classifier", data)
        net.load_state_dict(load_file(entry.path / WEIGHTS))
        run.memory[path.name] = TrainedClassifier(
            net.eval().to(run.device), **entry.about, path=entry.path, identity=entry.files[WEIGHTS]
        )
    found: TrainedClassifier = run.memory[path.name]
    return found


def build_classifier(conf: ClassifierConf, key: str, data: ImageData) -> Classifier:
    """A classifier with fresh weights."""
    return build(conf.net, f"{key}.net", Classifier, n_classes=data.n_classes)  # type: ignore[type-abstract]


def classification_accuracy_score(
    run: Run[CommonConf], data: ImageData, conf: ClassifierConf, samples: Images, folder: Path
) -> dict[str, float]:
    """CAS (Ravuri and Vinyals 2019): the accuracy on real images of a classifier trained on samples alone.

    Args:
        run: on whose hardware it is trained.
        data: the real images.
        conf: the classifier.
        samples: with the classes that they were made for.
        folder: keeps checkpoints, from which a killed training is resumed.

    Returns:
        `cas_top1` and `cas_top5`, and with `cas_real_` the same of a classifier trained on real images.
    """
    place = folder / f"cas-{cas_identity(run, data, conf)}"
    real = load_or_train_classifier(run, data, conf)
    scores = _together(run, lambda own: _train(own, data, conf, samples, "CAS", place)[1])
    made = {f"cas_{name}": value for name, value in scores.items()}
    return made | {"cas_real_top1": real.top1, "cas_real_top5": real.top5}


def cas_identity(run: Run[CommonConf], data: ImageData, conf: ClassifierConf) -> str:
    """What a score of CAS depends on besides the samples."""
    precision = run.settings.trainer.precision
    return fingerprint({"cas": asdict(conf), "data": data.fingerprint, "precision": precision})


def _together(run: Run[CommonConf], work: Any) -> Any:
    """On GPUs all processes train, with BatchNorm over all of them, which torch does not have on the CPU."""
    if run.device.type == "cuda" or ranks.world_size() == 1 or not run.together:
        return work(run)
    return run.by_main(work)


def _find_or_train(
    run: Run[CommonConf], data: ImageData, conf: ClassifierConf, ingredients: Mapping[str, Any]
) -> Entry:
    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training on {len(data.train):,} real images for {conf.optim.duration}"
        with run.console.stage("classifier", what) as notes:
            title = "CAS classifier" if conf is run.settings.cas else "classifier"
            net, scores = _train(run, data, conf, data.train, title, folder)
            notes.append(f"accuracy on held-out images {scores['top1']:.4f}")
        if ranks.is_main():
            write_arrays(net.state_dict(), folder / WEIGHTS)
            (folder / LAST).unlink()
        return scores

    entry = run.store.obtain("classifier", ingredients, train)
    if entry.reused:
        run.console.note("classifier", f"found in the cache: {entry.path}")
    return entry


def _train(
    run: Run[CommonConf], data: ImageData, conf: ClassifierConf, train: Images, title: str, folder: Path
) -> tuple[Classifier, dict[str, float]]:
    if conf.augment.n_ops > 0:
        train = Augmented(train, conf.augment.n_ops, conf.augment.magnitude, conf.seed)
    seed_all(conf.seed)
    net = build_classifier(conf, "classifier", data)
    module = LitClassifier(net, data.n_classes, conf.optim, conf.label_smoothing, conf.seed, run.together)
    scores = fit(module, train, data.test, hardware=run.hardware, terminal=run.console, title=title, folder=folder)
    best = module.best_net
    assert isinstance(best, Classifier)
    return best, {name: scores[f"classifier/{name}"] for name in ("top1", "top5")}
