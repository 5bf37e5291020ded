"""The curve: for each T, samples, their features, and every metric from those."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from maskgit_lab.commands.classifying import TrainedClassifier, obtain_classifier, train_classifier
from maskgit_lab.commands.generation import Sampler, Samples
from maskgit_lab.commands.job import Job
from maskgit_lab.data.source import n_items
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.lit.logger import log_point
from maskgit_lab.metrics.features import ClassifierFeatures, Features, extract, to_uint8
from maskgit_lab.metrics.scores import accuracy, sample_scores
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.mvtm import negative_log_likelihood
from maskgit_lab.seeds import mix_seeds

MEASURED_BY = ("maskgit_lab", "torch", "torch-fidelity")


def evaluate(job: Job, sampler: Sampler, cache: TokenCache) -> None:
    """Adds one row to the results for each T of `eval.steps` that has none yet."""
    done = {row["steps"] for row in job.run.results.rows()}
    missing = [steps for steps in job.cfg.eval.steps if steps not in done]
    if not missing:
        return
    conf = job.cfg.eval
    classifier = obtain_classifier(job, job.cfg.features.classifier)
    own_real = conf.cas is not None and conf.cas != job.cfg.features.classifier
    real = obtain_classifier(job, conf.cas) if own_real else classifier
    what = f"T = {', '.join(map(str, missing))}, {n_items(job.data.train):,} samples each"
    with job.terminal.stage("evaluation", what):
        extractor = ClassifierFeatures(classifier.net)
        reference = _reference(job, extractor)
        shared = _settings(job, sampler) | _likelihood(job, sampler.model, cache)
        for steps in missing:
            row = shared | {"steps": steps} | _point(job, sampler, steps, extractor, reference, real)
            job.run.results.append(row)
            log_point(job.logger, row)
            job.terminal.say(f"{'':<10} {_summary(row)}")


def _point(
    job: Job, sampler: Sampler, steps: int, extractor: ClassifierFeatures, reference: Features, real: TrainedClassifier
) -> dict[str, Any]:
    labels = job.data.train_labels.sort().values  # one sample for each training image and its class
    with job.terminal.bar(f"T = {steps}", len(labels)) as advance:
        samples = sampler(labels, steps, mix_seeds(job.cfg.seed, 1), advance)
    features = extract(extractor, samples.images.split(sampler.batch_size))
    conf = job.cfg.eval
    scores = sample_scores(features, reference, extractor.name, splits=conf.splits, neighbours=conf.neighbours)
    return {
        "images_per_second": len(labels) / samples.seconds,
        **scores,
        "sample_accuracy": accuracy(features.logits_nC, labels),
        **(_cas(job, samples, labels, real) if conf.cas is not None else {}),
    }


def _cas(job: Job, samples: Samples, labels: torch.Tensor, real: TrainedClassifier) -> dict[str, float]:
    """Classification accuracy score: trained on samples alone, tested on real images (Ravuri and Vinyals, 2019)."""
    train: Any = TensorDataset(samples.images.float() / 255, labels)
    trained = train_classifier(job, job.cfg.eval.cas, train, "CAS")
    return {
        "cas_top1": trained.top1,
        "cas_top5": trained.top5,
        "cas_real_top1": real.top1,
        "cas_real_top5": real.top5,
    }


def _reference(job: Job, extractor: ClassifierFeatures) -> Features:
    loader = DataLoader(job.data.train, job.cfg.eval.batch_size)
    return extract(extractor, (to_uint8(images) for images, _ in loader))


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
        "n_samples": n_items(job.data.train),
        "features": job.cfg.features.name,
        "reference": f"{job.data.name}-train",
        "data": job.data.name,
        **{f"version_{name.replace('-', '_')}": version(name) for name in MEASURED_BY},
    }


def _summary(row: dict[str, Any]) -> str:
    said = [f"{key} {row[key]:.3f}" for key in ("fd_classifier", "inception_score", "cas_top1") if key in row]
    return f"T = {row['steps']:<3} {', '.join(said)}"
