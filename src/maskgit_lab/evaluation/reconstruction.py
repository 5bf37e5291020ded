"""What a tokenizer does to held-out images: mean squared error, and the use of its codebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskgit_lab.code import code_of, targets_in
from maskgit_lab.console import Advance
from maskgit_lab.data.source import ImageData
from maskgit_lab.evaluation.batches import float_batches, in_batches
from maskgit_lab.objectives.quantization import codebook_perplexity
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf
from maskgit_lab.tokenizers.base import Tokenizer

SCORES = "scores.json"
AT_ONCE = 128


def load_or_measure_reconstruction(run: Run[CommonConf], data: ImageData, tokenizer: Tokenizer) -> dict[str, float]:
    """The scores, measured by the main process or found in the store; every process calls this.

    The distance of the reconstructions is a row of results: see `floors`.
    """
    assert run.record.tokenizer is not None
    ingredients = {
        "tokenizer": run.record.tokenizer.weights,
        "data": data.fingerprint,
        "code": code_of(__name__, *_modules(tokenizer), *targets_in(run.settings.data)),
    }

    def measure_in(folder: Path) -> Mapping[str, Any]:
        total = len(data.test)
        with (
            run.console.stage("rebuilding", f"{total:,} held-out images, to measure the tokenizer") as notes,
            run.console.bar("images", total, "images/s") as advance,
        ):
            scores = _measure(run, data, tokenizer, advance)
            notes += [f"{name} {value:.4g}" for name, value in scores.items()]
        (folder / SCORES).write_text(json.dumps(scores), encoding="utf-8")
        return scores

    return run.by_main(lambda alone: dict(alone.store.obtain("reconstruction", ingredients, measure_in).about))


def _modules(tokenizer: Tokenizer) -> list[str]:
    return [type(made).__module__ for made in (tokenizer, getattr(tokenizer, "net", tokenizer))]


def _measure(run: Run[CommonConf], data: ImageData, tokenizer: Tokenizer, advance: Advance) -> dict[str, float]:
    counts_K = torch.zeros(tokenizer.codebook_size)
    total_error = 0.0
    for images in float_batches(run, data.test, in_batches(len(data.test), AT_ONCE)):
        codes = tokenizer.encode(images.to(run.device))
        again = tokenizer.decode(codes).cpu()
        total_error += float((again - images).square().mean(dim=(1, 2, 3)).sum())
        counts_K += torch.bincount(codes.flatten().cpu(), minlength=tokenizer.codebook_size)
        advance(len(images))
    return {
        "mse": total_error / len(data.test),
        "perplexity": float(codebook_perplexity(counts_K)),
        "codebook_usage": float((counts_K > 0).float().mean()),
    }
