"""The feature extractors of a command, and how well a tokenizer reconstructs by one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from maskgit_lab.commands.classifying import obtain_classifier
from maskgit_lab.commands.job import Bench, Job
from maskgit_lab.data.source import Images
from maskgit_lab.fingerprints import code_version
from maskgit_lab.lit.fit import workers
from maskgit_lab.metrics.features import ClassifierFeatures, FeatureExtractor, extract, to_uint8
from maskgit_lab.metrics.names import distance_name
from maskgit_lab.metrics.pretrained import PRETRAINED
from maskgit_lab.metrics.scores import finite
from maskgit_lab.metrics.statistics import fit_gaussian, frechet_distance
from maskgit_lab.objectives.quantization import codebook_perplexity
from maskgit_lab.tokenizers.base import Tokenizer

SCORES = "scores.json"
SCORE_MODULES = ("maskgit_lab.metrics.features", "maskgit_lab.metrics.pretrained", "maskgit_lab.metrics.statistics")
REBUILT_AT_ONCE = 128


def obtain_extractor(bench: Bench, name: str, weights: str | None) -> FeatureExtractor:
    """The network of `features`: pretrained, or a classifier that is trained on the data at hand.

    Raises:
        UserError: its weights are not to be had.
    """
    if name in PRETRAINED:
        return PRETRAINED[name](weights, bench.device)
    trained = obtain_classifier(bench, bench.cfg.classifier)
    return ClassifierFeatures(trained.net, trained.identity, bench.need_data("a classifier").name)


def batches_of(bench: Bench, images: Images, batches: Sequence[range]) -> Iterator[Tensor]:
    """Images as they are evaluated, in these batches, (B, 3, H, W) in [0, 1]."""
    n_workers = workers(bench.hardware) if images.decodes else 0
    loader = DataLoader(images, batch_sampler=[list(batch) for batch in batches], num_workers=n_workers)
    return (batch for batch, _ in loader)


def in_batches(count: int, batch_size: int) -> list[range]:
    """The numbers from 0 to `count`, in batches."""
    return [range(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def measure_reconstruction(job: Job, tokenizer: Tokenizer, extractor: FeatureExtractor) -> Mapping[str, float]:
    """What the tokenizer does to held-out images: rFID or rFD, mean squared error, and the codebook's perplexity."""
    ingredients = {
        "tokenizer": job.run.record["done"]["tokenizer"]["weights"],
        "data": job.data.fingerprint,
        "extractor": [extractor.name, extractor.identity],
        "code": code_version("maskgit_lab.commands.extracting", *SCORE_MODULES),
    }

    def measure(folder: Path) -> Mapping[str, Any]:
        total = len(job.data.test)
        with (
            job.terminal.stage("rebuilding", f"{total:,} held-out images, to measure the tokenizer") as notes,
            job.terminal.bar("images", total, "images/s") as advance,
        ):
            scores = finite(_reconstruction(job, tokenizer, extractor, advance))
            notes += [f"{name} {value:.4g}" for name, value in scores.items()]
        (folder / SCORES).write_text(json.dumps(scores), encoding="utf-8")
        return scores

    return job.store.obtain("reconstruction", ingredients, measure).about


def _reconstruction(job: Job, tokenizer: Tokenizer, extractor: FeatureExtractor, advance: Any) -> dict[str, float]:
    counts_K = torch.zeros(tokenizer.codebook_size)
    total_error, real, rebuilt = 0.0, [], []
    for images in batches_of(job, job.data.test, in_batches(len(job.data.test), REBUILT_AT_ONCE)):
        codes = tokenizer.encode(images.to(job.device))
        again = tokenizer.decode(codes).cpu()
        total_error += float((again - images).square().mean(dim=(1, 2, 3)).sum())
        counts_K += torch.bincount(codes.flatten().cpu(), minlength=tokenizer.codebook_size)
        real.append(extract(extractor, [to_uint8(images)]).features_nF)
        rebuilt.append(extract(extractor, [to_uint8(again)]).features_nF)
        advance(len(images))
    return {
        f"r{distance_name(extractor.name)}": frechet_distance(fit_gaussian(rebuilt), fit_gaussian(real)),
        "mse": total_error / len(job.data.test),
        "perplexity": float(codebook_perplexity(counts_K)),
        "codebook_usage": float((counts_K > 0).float().mean()),
    }
