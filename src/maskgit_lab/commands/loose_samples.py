"""Scores images that somebody else made, in a folder or an npz file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.ablation.results import RESULTS, Results, Row, identity
from maskgit_lab.commands.classifying import cas_identity, train_on_samples
from maskgit_lab.commands.evaluation import possible_metrics, say_results
from maskgit_lab.commands.extracting import batches_of, obtain_extractor
from maskgit_lab.commands.free_folder import results_folder
from maskgit_lab.commands.job import Bench, by_main
from maskgit_lab.commands.memory import fitting_batch
from maskgit_lab.commands.parts import Parts
from maskgit_lab.commands.referencing import RealImages, check_enough, check_same_size
from maskgit_lab.commands.run_folder import held
from maskgit_lab.commands.scoring import Scorer, choices_of, obtain_scorer, versions
from maskgit_lab.data.external import ExternalImages, open_images
from maskgit_lab.data.source import ImageData, Images
from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import FeatureExtractor, to_uint8


def score_samples(cfg: DictConfig, bench: Bench, real: RealImages) -> None:
    """Prints the scores of the images of `samples=`, and adds them to `out/results.jsonl` if there is an `out`.

    Args:
        cfg: of `evaluate.py`.
        bench: with its settings.
        real: the images of the reference.

    Raises:
        UserError: images that cannot be used, too few of them, or of another size than the reference.
    """
    loose = open_images(Path(cfg.samples).expanduser(), "samples")
    check_same_size(loose.size, real)
    images = _chosen(loose, cfg.n_samples)
    choices_of(bench.cfg.eval).check(len(images))
    check_enough(choices_of(bench.cfg.eval), real)
    metrics = possible_metrics(bench, has_codes=True, has_classes=loose.classes is not None)
    if "cas" in metrics:
        _check_fits(loose, bench.need_data("CAS"))
    place = results_folder(Path(cfg.out)) if cfg.out and ranks.is_main() else None
    with held(place, "out", cfg.wait) if place is not None else nullcontext():
        row = _score(bench, loose, images, real, metrics, Results(place / RESULTS) if place is not None else None)
    say_results(bench.terminal, [row])


def _score(
    bench: Bench,
    loose: ExternalImages,
    images: Images,
    real: RealImages,
    metrics: Sequence[str],
    results: Results | None,
) -> Row:
    """The row of these images: measured, or found in the results."""
    extractor = obtain_extractor(bench, bench.cfg.features.name, bench.cfg.features.weights)
    scorer = obtain_scorer(bench, real, extractor)
    told = {
        "samples": loose.title,
        "samples_fingerprint": loose.fingerprint()[:12],
        "n_samples": len(images),
        **scorer.settings(),
        "metrics": " ".join(metric for metric in metrics if metric != "nll"),
    }
    if "cas" in metrics:
        told |= {"cas_classifier": cas_identity(bench), "data": bench.need_data("CAS").name}
    found = {identity(row): row for row in results.rows()} if results is not None else {}
    if ranks.share(identity(told) in found):
        return found.get(identity(told), told)
    batch_size = ranks.share(bench.cfg.eval.batch_size or _fitting(extractor, loose.size, bench.device))
    scorer.obtain_references(bench, batch_size)
    row = {**told, **_measure(bench, images, scorer, identity(told), batch_size, "cas" in metrics)}
    if results is not None:
        results.append(row | versions())
        bench.terminal.note("results", str(results.path))
    return row


def _chosen(loose: ExternalImages, count: int | None) -> Images:
    """So many images, spread evenly, since files are often sorted by class."""
    if count is None or count >= len(loose):
        return loose
    return loose.subset(torch.linspace(0, len(loose) - 1, count).round().long().tolist())


def _check_fits(loose: ExternalImages, data: ImageData) -> None:
    """Raises a `UserError` if a classifier of the samples cannot be tested on the data."""
    if loose.size != (data.size, data.size):
        raise UserError(
            f"the samples have {loose.size[0]} x {loose.size[1]} pixels and the data {data.size} x {data.size}: CAS "
            "needs them to be of one size, so leave it out with metrics=[...]"
        )
    low, high = int(loose.labels.min()), int(loose.labels.max())
    if low < 0 or high >= data.n_classes:
        raise UserError(
            f"the samples have classes from {low} to {high} and the data have {data.n_classes}: give the classes as "
            f"whole numbers from 0 to {data.n_classes - 1}, or leave CAS out with metrics=[...]"
        )


def _measure(
    bench: Bench, images: Images, scorer: Scorer, name: str, batch_size: int, with_cas: bool
) -> dict[str, Any]:
    def make(batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        return (scorer.measure(to_uint8(batch)) for batch in batches_of(bench, images, batches))

    parts = Parts(bench.store.root / "scoring" / name, len(images))
    row: dict[str, Any] = {}
    if scorer.needs_features:
        with bench.terminal.stage("samples", f"features of {len(images):,} images"):
            parts.fill(batch_size, make, bench.terminal, "samples")
            row = by_main(bench, lambda _: scorer.scores(parts))
    if with_cas:
        row |= train_on_samples(bench, images, parts.folder)
    if ranks.is_main():
        parts.remove()
    ranks.barrier()
    return row


def _fitting(extractor: FeatureExtractor, size: tuple[int, int], device: torch.device) -> int:
    return fitting_batch(lambda count: extractor(torch.zeros(count, 3, *size, dtype=torch.uint8)), device)
