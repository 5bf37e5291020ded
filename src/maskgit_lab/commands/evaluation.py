"""The curve: for each T, samples, their features, and every metric from those."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from maskgit_lab.commands.classifying import TrainedClassifier, obtain_classifier, train_classifier
from maskgit_lab.commands.extracting import batches_of
from maskgit_lab.commands.generation import Sampler, Samples
from maskgit_lab.commands.job import Job
from maskgit_lab.data.source import InMemory
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.lit.logger import log_point
from maskgit_lab.metrics.features import FeatureExtractor, Features, extract, to_uint8
from maskgit_lab.metrics.scores import accuracy, distance_name, sample_scores
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.mvtm import negative_log_likelihood
from maskgit_lab.seeds import mix_seeds

MEASURED_BY = ("maskgit_lab", "torch", "torch-fidelity")


def evaluate(job: Job, sampler: Sampler, cache: TokenCache, extractor: FeatureExtractor) -> None:
    """Adds one row to the results for each T of `eval.steps` that has none yet."""
    done = {row["steps"] for row in job.run.results.rows()}
    missing = [steps for steps in job.cfg.eval.steps if steps not in done]
    if not missing:
        return
    real = obtain_classifier(job, job.cfg.eval.cas) if job.cfg.eval.cas is not None else None
    what = f"T = {', '.join(map(str, missing))}, {len(_labels(job)):,} samples each"
    with job.terminal.stage("evaluation", what):
        reference = _reference(job, extractor)
        shared = _settings(job, sampler) | _likelihood(job, sampler.model, cache)
        for steps in missing:
            row = shared | {"steps": steps} | _point(job, sampler, steps, extractor, reference, real)
            job.run.results.append(row)
            log_point(job.logger, row)
            job.terminal.say(f"{'':<10} {_summary(row)}")


def _labels(job: Job) -> Tensor:
    """The classes of the samples, sorted: those of the training images, or as many of each class."""
    count = job.cfg.eval.n_samples
    if count is None:
        return job.data.train.labels.sort().values
    return torch.arange(count) * job.data.n_classes // count


def _point(
    job: Job,
    sampler: Sampler,
    steps: int,
    extractor: FeatureExtractor,
    reference: Features,
    real: TrainedClassifier | None,
) -> dict[str, Any]:
    labels = _labels(job)
    with job.terminal.bar(f"T = {steps}", len(labels)) as advance:
        samples = sampler(labels, steps, mix_seeds(job.cfg.seed, 1), advance)
    features = extract(extractor, samples.images.split(sampler.batch_size))
    conf = job.cfg.eval
    scores = sample_scores(features, reference, extractor.name, splits=conf.splits, neighbours=conf.neighbours)
    return {
        "images_per_second": len(labels) / samples.seconds,
        **scores,
        **({"sample_accuracy": accuracy(features.logits_nC, labels)} if extractor.knows_classes else {}),
        **(_cas(job, samples, labels, real) if real is not None else {}),
    }


def _cas(job: Job, samples: Samples, labels: torch.Tensor, real: TrainedClassifier) -> dict[str, float]:
    """Classification accuracy score: trained on samples alone, tested on real images (Ravuri and Vinyals, 2019)."""
    trained = train_classifier(job, job.cfg.eval.cas, InMemory(samples.images, labels), "CAS")
    return {
        "cas_top1": trained.top1,
        "cas_top5": trained.top5,
        "cas_real_top1": real.top1,
        "cas_real_top5": real.top5,
    }


def _reference(job: Job, extractor: FeatureExtractor) -> Features:
    return extract(extractor, map(to_uint8, batches_of(job, job.data.train)))


def _likelihood(job: Job, model: Transformer, cache: TokenCache) -> dict[str, float]:
    device = model.head_bias.device
    loader = DataLoader(cache.test, job.cfg.eval.batch_size)
    batches = ((tokens.to(device), labels.to(device)) for tokens, labels in loader)
    generator = torch.Generator(device).manual_seed(mix_seeds(job.cfg.seed, 2))
    schedule = job.train_schedule
    draws = job.cfg.eval.nll_draws
    return {"nll": negative_log_likelihood(model, batches, schedule, model.mask_id, draws, generator)}


def _settings(job: Job, sampler: Sampler) -> dict[str, Any]:
    """What a row was measured with."""
    return {
        "schedule": job.train_schedule.name,
        "decode_schedule": sampler.schedule.name,
        "choice_temperature": sampler.choice_temperature,
        "seed": job.cfg.seed,
        "guidance": sampler.guidance,
        "n_samples": len(_labels(job)),
        "features": job.cfg.features.name,
        "reference": f"{job.data.name}-train",
        "data": job.data.name,
        **{f"version_{name.replace('-', '_')}": version(name) for name in MEASURED_BY},
    }


def _summary(row: dict[str, Any]) -> str:
    shown = (distance_name(row["features"]), "inception_score", "cas_top1")
    said = [f"{key} {row[key]:.3f}" for key in shown if key in row]
    return f"T = {row['steps']:<3} {', '.join(said)}"
