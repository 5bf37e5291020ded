"""The feature extractor of a job, and how well its tokenizer reconstructs by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from maskgit_lab import config
from maskgit_lab.commands.classifying import obtain_classifier
from maskgit_lab.commands.job import Job
from maskgit_lab.data.source import Images
from maskgit_lab.fingerprints import code_version
from maskgit_lab.lit.fit import workers
from maskgit_lab.metrics.features import ClassifierFeatures, FeatureExtractor, extract, to_uint8
from maskgit_lab.metrics.pretrained import InceptionFeatures, ResNet56Features
from maskgit_lab.metrics.scores import distance_name, frechet_distance
from maskgit_lab.objectives.quantization import codebook_perplexity
from maskgit_lab.tokenizers.base import Tokenizer

PRETRAINED: dict[str, type[InceptionFeatures] | type[ResNet56Features]] = {
    "inception": InceptionFeatures,
    "resnet56_cifar10": ResNet56Features,
}
SCORES = "scores.json"
SCORE_MODULES = ("maskgit_lab.metrics.features", "maskgit_lab.metrics.pretrained", "maskgit_lab.metrics.scores")


def obtain_extractor(job: Job) -> FeatureExtractor:
    """The network of `features`: pretrained, or a classifier that is trained on the data at hand.

    Raises:
        UserError: its weights are not to be had.
    """
    conf = job.cfg.features
    if conf.name in PRETRAINED:
        return PRETRAINED[conf.name](conf.weights, job.device)
    return ClassifierFeatures(obtain_classifier(job, job.cfg.classifier).net)


def batches_of(job: Job, images: Images) -> Iterator[Tensor]:
    """Images as they are evaluated, in order, (B, 3, H, W) in [0, 1]."""
    n_workers = workers(job.hardware) if images.decodes else 0
    loader = DataLoader(images, job.cfg.eval.batch_size, num_workers=n_workers)
    return (batch for batch, _ in loader)


def measure_reconstruction(job: Job, tokenizer: Tokenizer, extractor: FeatureExtractor) -> Mapping[str, float]:
    """What the tokenizer does to held-out images: rFID or rFD, mean squared error, and the codebook's perplexity."""
    ingredients = {
        "tokenizer": job.run.record["done"]["tokenizer"]["weights"],
        "data": job.data.fingerprint,
        "features": config.plain(job.cfg.features),
        "classifier": config.plain(job.cfg.classifier) if job.cfg.features.name == "classifier" else None,
        "code": code_version("maskgit_lab.commands.extracting", *SCORE_MODULES),
    }

    def measure(folder: Path) -> Mapping[str, Any]:
        total = len(job.data.test)
        with (
            job.terminal.stage("rebuilding", f"{total:,} held-out images, to measure the tokenizer") as notes,
            job.terminal.bar("images", total) as advance,
        ):
            scores = _reconstruction(job, tokenizer, extractor, advance)
            notes += [f"{name} {value:.4g}" for name, value in scores.items()]
        (folder / SCORES).write_text(json.dumps(scores), encoding="utf-8")
        return scores

    entry = job.store.obtain("reconstruction", ingredients, measure)
    job.run.mark_done("reconstruction", path=str(entry.path), **entry.about)
    return entry.about


def _reconstruction(job: Job, tokenizer: Tokenizer, extractor: FeatureExtractor, advance: Any) -> dict[str, float]:
    counts_K = torch.zeros(tokenizer.codebook_size)
    total_error, real, rebuilt = 0.0, [], []
    for images in batches_of(job, job.data.test):
        codes = tokenizer.encode(images.to(job.device))
        again = tokenizer.decode(codes).cpu()
        total_error += float((again - images).square().mean(dim=(1, 2, 3)).sum())
        counts_K += torch.bincount(codes.flatten().cpu(), minlength=tokenizer.codebook_size)
        real.append(extract(extractor, [to_uint8(images)]).features_nF)
        rebuilt.append(extract(extractor, [to_uint8(again)]).features_nF)
        advance(len(images))
    return {
        f"r{distance_name(extractor.name)}": frechet_distance(torch.cat(rebuilt), torch.cat(real)),
        "mse": total_error / len(job.data.test),
        "perplexity": float(codebook_perplexity(counts_K)),
        "codebook_usage": float((counts_K > 0).float().mean()),
    }
