"""Fréchet distance, inception score, precision and recall, as torch-fidelity computes them, from shared features.

Shapes: n images, F features, C classes.
"""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import Features


def sample_scores(
    samples: Features, reference: Features, extractor_name: str, *, splits: int, neighbours: int
) -> dict[str, float]:
    """The metrics that compare a set of samples with a set of real images.

    Args:
        samples: features of the samples.
        reference: features of the real images.
        extractor_name: names the distance: `fid` for `inception`, else `fd_<name>`.
        splits: of the inception score (1 in the released config, 10 in ADM's evaluator).
        neighbours: k of precision and recall (3 in the paper).

    Returns:
        The distance, `inception_score` (at least 1), `precision` and `recall` in [0, 1].

    Raises:
        UserError: too few images for k neighbours.
    """
    fewest = min(len(samples.features_nF), len(reference.features_nF))
    if fewest <= neighbours:
        raise UserError(f"eval.neighbours={neighbours} takes more than {fewest} images: lower it, or use more images")
    if fewest < 2 * splits:
        raise UserError(f"eval.splits={splits} takes at least {2 * splits} images, not {fewest}: lower it")
    inception = isc_features_to_metric(samples.logits_nC, splits=splits, shuffle=True, rng_seed=0)
    near = prc_features_to_metric(
        samples.features_nF, reference.features_nF, prc_neighborhood=neighbours, save_cpu_ram=True, verbose=False
    )
    return {
        distance_name(extractor_name): frechet_distance(samples.features_nF, reference.features_nF),
        "inception_score": inception["inception_score_mean"],
        "precision": near["precision"],
        "recall": near["recall"],
    }


def distance_name(extractor_name: str) -> str:
    """Only the distance between features of the Inception network of 2015 is called FID."""
    return "fid" if extractor_name == "inception" else f"fd_{extractor_name}"


def frechet_distance(samples_nF: Float[Tensor, "n F"], reference_nF: Float[Tensor, "m F"]) -> float:
    """Fréchet distance between normal distributions fitted to two sets of features (Heusel et al. 2017)."""
    statistics = [fid_features_to_statistics(features.double()) for features in (samples_nF, reference_nF)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def accuracy(logits_nC: Float[Tensor, "n C"], labels_n: Int64[Tensor, " n"]) -> float:
    """The fraction of images whose most probable class is their label."""
    return float((logits_nC.argmax(dim=1) == labels_n).double().mean())
