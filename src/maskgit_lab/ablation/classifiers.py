"""The same models on the features of several classifiers.

Features of two classifiers span two spaces, in which distances have different scales: the studies stay apart, and no
mean over their distances is taken. The order of the schedules has no scale: it is found on each classifier by itself,
and tau and J are averaged over the classifiers.

Shapes: B resamples, C classifiers, S schedules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.permutations import jonckheere, kendall_tau
from maskgit_lab.ablation.published import in_order, table3
from maskgit_lab.ablation.ranking import FEWEST, Interval, at_best, levels_of, shapes_of
from maskgit_lab.ablation.resampling import Levels, percentile_interval
from maskgit_lab.ablation.sharing import compare
from maskgit_lab.ablation.study import Study

CLASSIFIER = "classifier"  # the extractor that is trained here, with a seed of its own
OF_THE_CLASSIFIER = ("features_weights", "cas_classifier")  # settings in which such studies may differ


@dataclass(frozen=True)
class Average:
    """A statistic of the order on each classifier, and its mean."""

    each: tuple[float, ...]  # in the order of the studies
    mean: float
    interval: Interval  # the 95 % percentile interval of the mean


@dataclass(frozen=True)
class AcrossClassifiers:
    """How the order of the schedules agrees with the paper's on each of several classifiers."""

    weights: tuple[str, ...]  # of the classifiers
    tau: Average  # Kendall's tau-b of the order of the schedules
    shapes: Average  # Jonckheere-Terpstra's J
    levels: Levels  # what the intervals hold


def alike(study: Study, every: Sequence[Study]) -> list[Study]:
    """The studies that differ from this one in the classifier alone, itself among them."""
    return [one for one in every if study.features == CLASSIFIER and _without(one) == _without(study)]


def across(studies: Sequence[Study], *, bootstrap: int, seed: int) -> AcrossClassifiers | None:
    """The agreement with the paper over studies that differ in the classifier alone.

    Classifiers and models are crossed, since every model was measured on every classifier: the bootstrap draws both,
    each by itself.

    Returns:
        None with one classifier, with fewer than three of the paper's schedules, or where no seed is shared by all.
    """
    found = [{one.schedule: one for one in curves(study.main, study.distance)} for study in studies]
    names = [name for name in in_order(table3()) if all(name in each for each in found)]
    if len(found) < 2 or len(names) < FEWEST:
        return None
    shared = compare([each[name] for each in found for name in names])
    if not shared.seeds:
        return None
    generator = np.random.default_rng(seed)
    ours_BS, _ = at_best(shared.compared, bootstrap, generator)
    ours_CBS = ours_BS.reshape(len(ours_BS), len(found), len(names)).swapaxes(0, 1)
    times_BC = generator.multinomial(len(found), np.full(len(found), 1 / len(found)), size=bootstrap)
    fid_S = np.array([table3()[name].fid for name in names])
    taus_BC = np.stack([kendall_tau(ours_BS, fid_S) for ours_BS in ours_CBS], axis=1)
    js_BC = np.stack([jonckheere(ours_BS, shapes_of(names)) for ours_BS in ours_CBS], axis=1)
    levels = replace(levels_of(shared.compared, shared.seeds), classifiers=len(found))
    return AcrossClassifiers(
        tuple(str(study.settings.get("features_weights", "")) for study in studies),
        _average(taus_BC, times_BC, levels.n_drawn),
        _average(js_BC, times_BC, levels.n_drawn),
        levels,
    )


def _average(values_BC: Float[np.ndarray, "B C"], times_BC: Int[np.ndarray, "_ C"], n: int) -> Average:
    """The first is of what was measured; a resample in which tau is not defined on a classifier is left out."""
    means_B = (values_BC[1:] * times_BC).sum(axis=1) / times_BC.sum(axis=1)
    defined = means_B[np.isfinite(means_B)]
    interval = percentile_interval(defined, n) if len(defined) else None
    return Average(tuple(values_BC[0].tolist()), float(values_BC[0].mean()), interval)


def _without(study: Study) -> tuple[object, ...]:
    """What has to be the same."""
    settings = {key: value for key, value in study.settings.items() if key not in OF_THE_CLASSIFIER}
    return settings, study.training, study.debug, study.code.versions
