"""Classifiers: of real images, found in the store where they are there, and of samples, for CAS."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.code import code_of, targets_in
from maskgit_lab.data.augment import Augmentation, Augmented, Centre
from maskgit_lab.data.source import ImageData, Images, as_many_of_each
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.lit.classifier import LitClassifier
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.nets.building import build_net
from maskgit_lab.nets.classifier import Classifier
from maskgit_lab.nets.files import write_arrays
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.store import WEIGHTS, Entry
from maskgit_lab.settings import ClassifierConf, CommonConf, Optim

TITLE = "CAS classifier"  # of the training on real images


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier and its accuracy on the held-out real images, fractions in [0, 1]."""

    net: Classifier
    top1: float
    top5: float
    path: Path
    identity: str  # of its weights


def load_or_train_classifier(
    run: Run[CommonConf],
    data: ImageData,
    conf: ClassifierConf,
    title: str = "classifier",
    chosen: Sequence[int] | None = None,
) -> TrainedClassifier:
    """A classifier trained on real training images, or found in the store.

    Args:
        run: on whose hardware it is trained.
        data: the real images.
        conf: the classifier.
        title: of its training.
        chosen: the training images that it sees; None: all.
    """
    conf = _settled(conf, data)
    ingredients = {
        "config": asdict(conf),
        "data": data.fingerprint,
        **({} if chosen is None else {"chosen": fingerprint({"indices": list(chosen)})}),
        "precision": run.settings.trainer.precision,
        "code": code_of(__name__, *targets_in([asdict(conf), run.settings.data])),
    }
    images = data.train if chosen is None else data.train.subset(chosen)
    path = run.store.path("classifier", ingredients)
    if path.name not in run.memory:
        entry = _together(run, lambda own: _find_or_train(own, data, images, conf, title, ingredients))
        net = build_classifier(conf, "classifier", data)
        net.load_state_dict(load_file(entry.path / WEIGHTS))
        run.memory[path.name] = TrainedClassifier(
            net.eval().to(run.device), **entry.about, path=entry.path, identity=entry.files[WEIGHTS]
        )
    found: TrainedClassifier = run.memory[path.name]
    return found


def build_classifier(conf: ClassifierConf, key: str, data: ImageData) -> Classifier:
    """A classifier with fresh weights.

    Raises:
        UserError: its settings do not fit the data, or each other.
    """
    if conf.test_size is not None and conf.test_resize is None and conf.test_size > data.size:
        raise UserError(
            f"{key}.test_size={conf.test_size} is larger than the images of {data.size} pixels: lower it, or give "
            f"{key}.test_resize"
        )
    return build_net(conf.net, f"{key}.net", Classifier, n_classes=data.n_classes)  # type: ignore[type-abstract]


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
        `cas_top1` and `cas_top5`; with `cas_real_` the same of a classifier trained for as many steps on as many real
        images, or on all of them where there are fewer; where there are more, with `cas_real_all_` the same of one that
        is trained on all of them, for the epochs of its settings.
    """
    place = folder / f"cas-{cas_identity(run, data, conf)}"
    real = _scores(_load_or_train_ceiling(run, data, conf, samples.labels), "cas_real")
    if len(samples) < len(data.train):
        real |= _scores(load_or_train_classifier(run, data, conf, TITLE), "cas_real_all")
    scores = _together(run, lambda own: _train(own, data, conf, samples, "CAS", place)[1])
    return {f"cas_{name}": value for name, value in scores.items()} | real


def cas_identity(run: Run[CommonConf], data: ImageData, conf: ClassifierConf) -> str:
    """What a score of CAS depends on besides the samples."""
    precision = run.settings.trainer.precision
    return fingerprint({"cas": asdict(_settled(conf, data)), "data": data.fingerprint, "precision": precision})


def centre_of(conf: ClassifierConf) -> Centre:
    """What a classifier is tested on."""
    return Centre(conf.test_resize, conf.test_size)


def _load_or_train_ceiling(
    run: Run[CommonConf], data: ImageData, conf: ClassifierConf, labels: Tensor
) -> TrainedClassifier:
    """The classifier that sees as many real images as there are samples, of the same classes, for as many steps."""
    chosen = as_many_of_each(data.train.labels, labels)
    if len(chosen) < len(labels):
        conf = replace(conf, optim=_as_long(conf.optim, len(labels), len(chosen)))
    return load_or_train_classifier(run, data, conf, TITLE, chosen if len(chosen) < len(data.train) else None)


def _as_long(optim: Optim, n_images: int, n_fewer: int) -> Optim:
    """The optimisation of fewer images for as many steps."""
    steps = optim.epochs * math.ceil(n_images / optim.batch_size)
    steps = steps if optim.max_steps is None else min(steps, optim.max_steps)
    return replace(optim, epochs=math.ceil(steps / math.ceil(n_fewer / optim.batch_size)), max_steps=steps)


def _scores(trained: TrainedClassifier, name: str) -> dict[str, float]:
    return {f"{name}_top1": trained.top1, f"{name}_top5": trained.top5}


def _settled(conf: ClassifierConf, data: ImageData) -> ClassifierConf:
    """With what the data decide."""
    flip = data.flip if conf.augment.flip is None else conf.augment.flip
    return replace(conf, augment=replace(conf.augment, flip=flip))


def _together(run: Run[CommonConf], work: Any) -> Any:
    """On GPUs all processes train, with BatchNorm over all of them, which torch does not have on the CPU."""
    if run.device.type == "cuda" or ranks.world_size() == 1 or not run.together:
        return work(run)
    return run.by_main(work)


def _find_or_train(
    run: Run[CommonConf],
    data: ImageData,
    images: Images,
    conf: ClassifierConf,
    title: str,
    ingredients: Mapping[str, Any],
) -> Entry:
    def train(folder: Path) -> Mapping[str, Any]:
        what = f"training on {len(images):,} real images for {conf.optim.duration}"
        with run.console.stage("classifier", what) as notes:
            net, scores = _train(run, data, conf, images, title, folder)
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
    augmentation = Augmentation(conf.train_size, **asdict(_settled(conf, data).augment))
    seed_all(conf.seed)
    net = build_classifier(conf, "classifier", data)
    module = LitClassifier(
        net, data.n_classes, conf.optim, conf.label_smoothing, conf.seed, centre_of(conf), run.together
    )
    augmented = Augmented(train, augmentation, conf.seed)
    scores = fit(module, augmented, data.test, hardware=run.hardware, terminal=run.console, title=title, folder=folder)
    best = module.best_net
    assert isinstance(best, Classifier)
    return best, {name: scores[f"classifier/{name}"] for name in ("top1", "top5")}
