"""Every metric that compares features of samples with those of real images, as torch-fidelity computes them.

Shapes: n images, F features, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from maskgit_lab.errors import UserError
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.features import Features
from maskgit_lab.metrics.reference import Reference
from maskgit_lab.metrics.statistics import fit_gaussian, frechet_distance
from maskgit_lab.objects import locate

BLOCK = 1024  # rows whose distances to all others are in memory at once
SEED = 2020  # torch-fidelity's, of the subsets of KID and the order in which images fall into splits


@dataclass(frozen=True)
class Choices:
    """What is computed, and how."""

    metrics: tuple[str, ...]  # names of the registry; those that are measured in another way are passed over
    splits: int = 1  # of the inception score: 1 in the released config, 10 in ADM's evaluator
    neighbours: int = 3  # k of precision and recall, 3 in the paper
    kid_subsets: int = 100  # random subsets over which KID is averaged
    kid_subset_size: int = 1000  # images of each, at most as many as there are

    def check(self, n_images: int, limit: str = "") -> None:
        """Raises a `UserError` if these choices need more images.

        Args:
            n_images: how many there are.
            limit: the setting that limits them, if one does.
        """
        by = f" of {limit}" if limit else ""
        if n_images < 2:
            raise UserError(f"{n_images} image{by} is too few to have a spread: give at least 2")
        if "precision_recall" in self.metrics and n_images <= self.neighbours:
            raise UserError(
                f"eval.neighbours={self.neighbours} is not below the number of images{by}, {n_images}: lower it, or "
                "use more"
            )
        if "inception_score" in self.metrics and n_images < 2 * self.splits:
            raise UserError(
                f"eval.splits={self.splits} is too many for the {n_images} images{by} there are: lower it, or use more"
            )


def sample_scores(samples: Features, reference: Reference, extractor: str, choices: Choices) -> dict[str, float]:
    """The metrics that compare a set of samples with a set of real images.

    Args:
        samples: features of the samples.
        reference: what is kept of the real images.
        extractor: its name, which names the distances; see `registry.Metric.on`.
        choices: what is computed, and how.

    Returns:
        The metrics of `registry.TABLE` that were asked for and can be computed, by their keys in rows. A metric that
        cannot be computed is absent.

    Raises:
        UserError: too few images.
    """
    known = samples.features_nF if reference.features_nF is None else reference.features_nF
    choices.check(min(len(samples.features_nF), len(known)))
    there = {
        "features": True,
        "spatial": samples.spatial_nS is not None and reference.spatial is not None,
        "kept": reference.features_nF is not None,
        "logits": samples.logits_nC is not None,
        "held_out": reference.features_nF is not None and reference.near is not None,
    }
    scores: dict[str, float] = {}
    for metric in registry.TABLE.values():
        if metric.compute is not None and metric.name in choices.metrics and there.get(metric.needs):
            compute = locate(metric.compute, metric.key) if isinstance(metric.compute, str) else metric.compute
            scores |= _named(compute(samples, reference, choices), metric, extractor)
    return finite(scores)


def fid(samples: Features, reference: Reference, choices: Choices) -> float:
    """Fréchet distance of the features (Heusel et al. 2017)."""
    return frechet_distance(fit_gaussian([samples.features_nF]), reference.gaussian)


def sfid(samples: Features, reference: Reference, choices: Choices) -> float:
    """Fréchet distance of the spatial features (Nash et al. 2021)."""
    assert samples.spatial_nS is not None and reference.spatial is not None
    return frechet_distance(fit_gaussian([samples.spatial_nS]), reference.spatial)


def inception_score(samples: Features, reference: Reference, choices: Choices) -> dict[str, float]:
    """The inception score (Salimans et al. 2016), at least 1, with its deviation where there are several splits."""
    assert samples.logits_nC is not None
    found = isc_features_to_metric(samples.logits_nC, splits=choices.splits, shuffle=True, rng_seed=SEED)
    scores = {"inception_score": found["inception_score_mean"]}
    return scores | ({"inception_score_std": found["inception_score_std"]} if choices.splits > 1 else {})


def precision_recall(samples: Features, reference: Reference, choices: Choices) -> dict[str, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019) in [0, 1], with distances in blocks of `BLOCK` rows."""
    found = prc_features_to_metric(
        samples.features_nF,
        reference.features_nF,
        prc_neighborhood=choices.neighbours,
        prc_batch_size=BLOCK,
        save_cpu_ram=True,  # a block of rows at a time
        verbose=False,
    )
    return {name: found[name] for name in ("precision", "recall")}


def finite(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores that are numbers."""
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def accuracy(logits_nC: Float[Tensor, "n C"], labels_n: Int64[Tensor, " n"]) -> float:
    """The fraction of images whose most probable class is their label."""
    return float((logits_nC.argmax(dim=1) == labels_n).double().mean())


def kid(samples: Features, reference: Reference, choices: Choices) -> dict[str, float]:
    """KID (Binkowski et al. 2018): the squared MMD with the kernel (x y / F + 1)^3, over random subsets.

    Their deviation `kid_std` is given where a subset is at most half of the smaller set. Subsets are drawn without
    replacement, m of n images, so that they overlap: the variance between them is (1 - m / n) times that of independent
    ones (Cochran 1977, section 2.6), half of it at m = n / 2 and rounding errors at m = n.
    """
    assert reference.features_nF is not None
    fewest = min(len(samples.features_nF), len(reference.features_nF))
    size = min(choices.kid_subset_size, fewest)
    found = kid_features_to_metric(
        samples.features_nF,
        reference.features_nF,
        kid_subsets=choices.kid_subsets,
        kid_subset_size=size,
        rng_seed=SEED,
        verbose=False,
    )
    mean, deviation = (found[f"kernel_inception_distance_{part}"] for part in ("mean", "std"))
    return {"kid": mean, **({"kid_std": deviation} if 2 * size <= fewest else {})}


def _named(found: float | Mapping[str, float], metric: registry.Metric, extractor: str) -> dict[str, float]:
    """The values by their keys in a row."""
    values = found if isinstance(found, Mapping) else {metric.key: found}
    return {key.replace(metric.key, metric.key_on(extractor), 1): float(value) for key, value in values.items()}
