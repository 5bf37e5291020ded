"""Scores images that somebody else made, in a folder or an npz file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.ablation.results import Results
from maskgit_lab.commands.classifying import train_on_samples
from maskgit_lab.commands.evaluation import say_results
from maskgit_lab.commands.extracting import batches_of, obtain_extractor
from maskgit_lab.commands.free_folder import results_folder
from maskgit_lab.commands.job import Bench, by_main
from maskgit_lab.commands.memory import fitting_batch
from maskgit_lab.commands.parts import Parts
from maskgit_lab.commands.referencing import RealImages, check_same_size
from maskgit_lab.commands.scoring import Scorer, choices_of, obtain_scorer, versions
from maskgit_lab.data.loose import open_images
from maskgit_lab.data.source import Images
from maskgit_lab.fingerprints import fingerprint
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
    count = min(len(loose), cfg.n_samples or len(loose))
    choices_of(bench.cfg.eval).check(count)
    images: Images = loose
    if count < len(loose):  # spread evenly, since files are often sorted by class
        images = loose.subset(torch.linspace(0, len(loose) - 1, count).round().long().tolist())
    extractor = obtain_extractor(bench, bench.cfg.features.name, bench.cfg.features.weights)
    batch_size = ranks.share(cfg.batch_size or _fitting(extractor, loose.size, bench.device))
    scorer = obtain_scorer(bench, real, extractor, batch_size)
    told = {"samples": Path(cfg.samples).name, "n_samples": count, **scorer.settings()}
    told["metrics"] = " ".join(sorted(bench.cfg.eval.metrics))
    depends = fingerprint({"images": loose.fingerprint(), **told})
    parts = Parts(bench.store.root / "scoring" / depends, count)
    row = {**told, **_measure(bench, images, scorer, parts, batch_size)}
    if cfg.out and ranks.is_main():
        results = Results(results_folder(Path(cfg.out)) / "results.jsonl")
        results.append(row | versions())
        bench.terminal.note("results", str(results.path))
    say_results(bench.terminal, [row])


def _measure(bench: Bench, images: Images, scorer: Scorer, parts: Parts, batch_size: int) -> dict[str, Any]:
    def make(batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        return (scorer.measure(to_uint8(batch)) for batch in batches_of(bench, images, batches))

    with bench.terminal.stage("samples", f"features of {len(images):,} images"):
        parts.fill(batch_size, make, bench.terminal, "samples")
        row = by_main(bench, lambda _: scorer.scores(parts))
    has_classes = len(images.labels.unique()) > 1
    if has_classes and bench.cfg.cas is not None and bench.data is not None and "cas" in bench.cfg.eval.metrics:
        row |= train_on_samples(bench, bench.cfg.cas, images, parts.folder / "cas")
    if ranks.is_main():
        parts.remove()
    ranks.barrier()
    return row


def _fitting(extractor: FeatureExtractor, size: tuple[int, int], device: torch.device) -> int:
    return fitting_batch(lambda count: extractor(torch.zeros(count, 3, *size, dtype=torch.uint8)), device)
