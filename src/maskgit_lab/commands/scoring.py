"""Measures samples against real images: features once, then every metric from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from maskgit_lab import __version__
from maskgit_lab.commands.extracting import obtain_extractor
from maskgit_lab.commands.job import Bench
from maskgit_lab.commands.parts import Parts
from maskgit_lab.commands.referencing import RealImages, obtain_reference
from maskgit_lab.metrics.features import FeatureExtractor, Features
from maskgit_lab.metrics.reference import Reference
from maskgit_lab.metrics.scores import Choices, sample_scores

MEASURED_BY = ("torch", "torchvision", "torch-fidelity", "lightning")
NEAR = "precision_recall"
FROM_FEATURES = ("fid", "sfid", "kid", "inception_score", NEAR)


@dataclass(frozen=True)
class Scorer:
    """Extractors with their references, and what is computed from them.

    Args:
        extractor: of every metric, but where `precise` is given.
        precise: the extractor of precision and recall, if it is another one.
        real: the images of the reference.
        choices: what is computed, and how.
        kept: of so many real images there are features, at the most.
        references: by the extractors' names, once they are obtained.
    """

    extractor: FeatureExtractor
    precise: FeatureExtractor | None
    real: RealImages
    choices: Choices
    kept: int
    references: dict[str, Reference] = field(default_factory=dict)

    @property
    def needs_features(self) -> bool:
        """Whether any metric is computed from features."""
        return bool(set(self.choices.metrics) & set(FROM_FEATURES))

    def obtain_references(self, bench: Bench, batch_size: int) -> None:
        """Computes what is kept of the real images, or finds it in the store; every process calls this."""
        for extractor in self._extractors() if self.needs_features else ():
            self.references[extractor.name] = obtain_reference(bench, self.real, extractor, batch_size)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """The features of 8-bit images (B, 3, H, W) by every extractor, as arrays of a part, if any are needed."""
        if not self.needs_features:
            return {}
        return {
            f"{extractor.name}/{name}": value
            for extractor in self._extractors()
            for name, value in extractor(images).named().items()
        }

    def features(self, parts: Parts, extractor: FeatureExtractor | None = None) -> Features:
        """The features of all images of the parts, by one extractor."""
        prefix = f"{(extractor or self.extractor).name}/"
        names = [name for name in next(iter(parts)) if name.startswith(prefix)]
        return Features(**{name.removeprefix(prefix): parts.array(name) for name in names})

    def scores(self, parts: Parts) -> dict[str, float]:
        """Every metric of the features that was asked for and can be computed."""
        if not self.needs_features:
            return {}
        own = self.choices
        if self.precise is not None:
            own = _only(self.choices, lambda metric: metric != NEAR)
        name = self.extractor.name
        scores = sample_scores(self.features(parts), self.references[name], name, own)
        if self.precise is not None:
            near, name = _only(self.choices, lambda metric: metric == NEAR), self.precise.name
            scores |= sample_scores(self.features(parts, self.precise), self.references[name], name, near)
        return scores

    def settings(self) -> dict[str, Any]:
        """What a row was measured with."""
        told = {
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
        if self.precise is not None:
            told |= {"precision_features": self.precise.name, "precision_weights": self.precise.identity[:12]}
        return told

    def _extractors(self) -> Iterable[FeatureExtractor]:
        return (self.extractor,) if self.precise is None else (self.extractor, self.precise)


def obtain_scorer(bench: Bench, real: RealImages, extractor: FeatureExtractor) -> Scorer:
    """The scorer of a config, whose references are yet to be obtained."""
    conf = bench.cfg.eval
    precise = None
    if conf.precision_features not in (None, extractor.name):
        precise = obtain_extractor(bench, conf.precision_features, conf.precision_weights)
    return Scorer(extractor, precise, real, choices_of(conf), conf.reference_features)


def choices_of(conf: DictConfig) -> Choices:
    """The choices of a config's group `eval`."""
    names = ("splits", "neighbours", "kid_subsets", "kid_subset_size")
    return Choices(tuple(conf.metrics), **{name: conf[name] for name in names})


def versions() -> dict[str, str]:
    """The packages that measure, with their versions."""
    others = {f"version_{name.replace('-', '_')}": version(name) for name in MEASURED_BY}
    return {"version_maskgit_lab": __version__, **others}


def _only(choices: Choices, wanted: Callable[[str], bool]) -> Choices:
    return replace(choices, metrics=tuple(filter(wanted, choices.metrics)))
