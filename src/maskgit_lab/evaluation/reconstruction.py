"""What a tokenizer does to held-out images: rFID or rFD, mean squared error, and the use of its codebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskgit_lab.code import code_of, targets_in
from maskgit_lab.console import Advance
from maskgit_lab.data.source import ImageData
from maskgit_lab.evaluation.batches import extract, float_batches, in_batches
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.metrics.scores import finite
from maskgit_lab.metrics.statistics import fit_gaussian, frechet_distance
from maskgit_lab.objectives.quantization import codebook_perplexity
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf
from maskgit_lab.tokenizers.base import Tokenizer

SCORES = "scores.json"
AT_ONCE = 128


def load_or_measure_reconstruction(
    run: Run[CommonConf], data: ImageData, tokenizer: Tokenizer, extractor: FeatureExtractor
) -> dict[str, float]:
    """The scores, measured by the main process or found in the store; every process calls this."""
    assert run.record.tokenizer is not None
    ingredients = {
        "tokenizer": run.record.tokenizer.weights,
        "data": data.fingerprint,
        "extractor": [extractor.name, extractor.identity],
        "code": code_of(__name__, *_modules(tokenizer, extractor), *targets_in(run.settings.data)),
    }

    def measure_in(folder: Path) -> Mapping[str, Any]:
        total = len(data.test)
        with (
            run.console.stage("rebuilding", f"{total:,} held-out images, to measure the tokenizer") as notes,
            run.console.bar("images", total, "images/s") as advance,
        ):
            scores = finite(_measure(run, data, tokenizer, extractor, advance))
            notes += [f"{name} {value:.4g}" for name, value in scores.items()]
        (folder / SCORES).write_text(json.dumps(scores), encoding="utf-8")
        return scores

    return run.by_main(lambda alone: dict(alone.store.obtain("reconstruction", ingredients, measure_in).about))


def _modules(tokenizer: Tokenizer, extractor: FeatureExtractor) -> list[str]:
    net = getattr(tokenizer, "net", tokenizer)
    return [type(made).__module__ for made in (tokenizer, net, extractor)]


def reconstruction_distance(scores: Mapping[str, float], extractor: FeatureExtractor) -> dict[str, float]:
    """The distance alone, which rows of results have too."""
    key = registry.TABLE["rfid"].key_on(extractor.name)
    return {key: scores[key]} if key in scores else {}


def _measure(
    run: Run[CommonConf], data: ImageData, tokenizer: Tokenizer, extractor: FeatureExtractor, advance: Advance
) -> dict[str, float]:
    counts_K = torch.zeros(tokenizer.codebook_size)
    total_error, real, rebuilt = 0.0, [], []
    for images in float_batches(run, data.test, in_batches(len(data.test), AT_ONCE)):
        codes = tokenizer.encode(images.to(run.device))
        again = tokenizer.decode(codes).cpu()
        total_error += float((again - images).square().mean(dim=(1, 2, 3)).sum())
        counts_K += torch.bincount(codes.flatten().cpu(), minlength=tokenizer.codebook_size)
        real.append(extract(extractor, to_uint8(images)).features_nF)
        rebuilt.append(extract(extractor, to_uint8(again)).features_nF)
        advance(len(images))
    return {
        registry.TABLE["rfid"].key_on(extractor.name): frechet_distance(fit_gaussian(rebuilt), fit_gaussian(real)),
        "mse": total_error / len(data.test),
        "perplexity": float(codebook_perplexity(counts_K)),
        "codebook_usage": float((counts_K > 0).float().mean()),
    }
