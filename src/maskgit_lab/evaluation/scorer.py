"""Measures features of samples against those of real images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from torch import Tensor

from maskgit_lab import __version__
from maskgit_lab.data.shards import Shards
from maskgit_lab.data.source import ImageData
from maskgit_lab.evaluation.batches import extract
from maskgit_lab.evaluation.reference import RealImages, load_or_compute_reference
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.features import FeatureExtractor, Features
from maskgit_lab.metrics.memorisation import nearest_by_features, threshold
from maskgit_lab.metrics.reference import Reference
from maskgit_lab.metrics.scores import Choices, sample_scores
from maskgit_lab.runs.results import SAW_REFERENCE, VERSION
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf, EvalConf
from maskgit_lab.stages.features import load_or_train_extractor

MEASURED_BY = ("torch", "torchvision", "torch-fidelity", "lightning")
PRECISE = "precision_recall"  # the metric that may have an extractor of its own
NEAR = "near"  # what is kept of held-out images besides their metrics; see `Scorer.nearness`


@dataclass(frozen=True)
class Scorer:
    """Extractors with their references, and what is computed from them."""

    extractor: FeatureExtractor  # of every metric, but where `precise` is given
    precise: FeatureExtractor | None  # the extractor of precision and recall, if it is another one
    real: RealImages  # the images of the reference
    choices: Choices  # what is computed, and how
    kept: int  # of so many real images there are features, at the most
    references: dict[str, Reference] = field(default_factory=dict)  # by the extractors' names, once they are loaded

    @property
    def needs_features(self) -> bool:
        """Whether any metric is computed from features."""
        return bool(self.computed(self.choices.metrics))

    @staticmethod
    def computed(metrics: Iterable[str]) -> set[str]:
        """Those metrics, by their names, that are computed from features."""
        return set(metrics) & {metric.name for metric in registry.TABLE.values() if metric.compute is not None}

    @property
    def saw_reference(self) -> bool:
        """Whether the extractor was trained on the images of the reference, as their classifier."""
        return self.extractor.classes_of is not None and self.real.name == f"{self.extractor.classes_of}-train"

    @property
    def extractors(self) -> Sequence[FeatureExtractor]:
        """All of them."""
        return (self.extractor,) if self.precise is None else (self.extractor, self.precise)

    def load_references(self, run: Run[CommonConf], batch_size: int) -> None:
        """Computes what is kept of the real images, or finds it in the store; every process calls this."""
        for extractor in self.extractors if self.needs_features else ():
            self.references[extractor.name] = load_or_compute_reference(run, self.real, extractor, batch_size)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """The features of 8-bit images (B, 3, H, W) by every extractor, as arrays of a shard, if any are needed."""
        if not self.needs_features:
            return {}
        return {
            f"{extractor.name}/{name}": value
            for extractor in self.extractors
            for name, value in extract(extractor, images).named().items()
        }

    def features(self, shards: Shards, extractor: FeatureExtractor) -> Features:
        """The features of all images of the shards, by one extractor."""
        prefix = f"{extractor.name}/"
        names = [name for name in next(iter(shards)) if name.startswith(prefix)]
        return Features(**{name.removeprefix(prefix): shards.array(name) for name in names})

    def scores(self, shards: Shards) -> dict[str, float]:
        """Every metric of the features that was asked for and can be computed."""
        if not self.needs_features:
            return {}
        scores: dict[str, float] = {}
        for extractor in self.extractors:
            name, metrics = extractor.name, self._metrics_of(extractor)
            choices = replace(self.choices, metrics=metrics)
            scores |= sample_scores(self.features(shards, extractor), self.references[name], name, choices)
        return scores

    def nearness(self, held_out: Shards) -> float:
        """The distance of features below which an image is nearer to a training image than held-out images are."""
        known_mF = self.references[self.extractor.name].features_nF
        assert known_mF is not None
        return threshold(nearest_by_features(self.features(held_out, self.extractor).features_nF, known_mF))

    def know_near(self, near: float) -> None:
        """From now on `memorised` is computed, with what `nearness` gave."""
        name = self.extractor.name
        self.references[name] = replace(self.references[name], near=near)

    def settings(self) -> dict[str, Any]:
        """What a row was measured with."""
        settings = {
            "features": self.extractor.name,
            "features_weights": self.extractor.identity[:12],
            "reference": self.real.name,
            "reference_fingerprint": self.real.fingerprint[:18],
            "reference_features": self.kept,
            "splits": self.choices.splits,
            "neighbours": self.choices.neighbours,
            "kid_subsets": self.choices.kid_subsets,
            "kid_subset_size": self.choices.kid_subset_size,
        }
        if self.saw_reference:
            settings |= {SAW_REFERENCE: True}
        if self.precise is not None:
            settings |= {"precision_features": self.precise.name, "precision_weights": self.precise.identity[:12]}
        return settings

    def _metrics_of(self, extractor: FeatureExtractor) -> tuple[str, ...]:
        """Those that are computed with an extractor."""
        if self.precise is None:
            return self.choices.metrics
        return tuple(name for name in self.choices.metrics if (name == PRECISE) == (extractor is self.precise))


def make_scorer(run: Run[CommonConf], data: ImageData | None, real: RealImages, extractor: FeatureExtractor) -> Scorer:
    """The scorer of the settings, whose references are yet to be loaded."""
    conf = run.settings.eval
    precise = None
    if conf.precision_features not in (None, extractor.name):
        precise = load_or_train_extractor(run, data, conf.precision_features, conf.precision_weights)
    return Scorer(extractor, precise, real, choices_of(conf), conf.reference_features)


def choices_of(conf: EvalConf) -> Choices:
    """The choices of the group `eval`."""
    return Choices(tuple(conf.metrics), conf.splits, conf.neighbours, conf.kid_subsets, conf.kid_subset_size)


def versions() -> dict[str, str]:
    """The packages that measure, with their versions."""
    others = {f"{VERSION}{name.replace('-', '_')}": version(name) for name in MEASURED_BY}
    return {f"{VERSION}maskgit_lab": __version__, **others}
