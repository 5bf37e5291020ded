"""Likelihoods of held-out codes under a trained transformer, in nats per token, computed by all processes and kept.

`nll` is the number of MaskGIT's Table 3: each model under the masks of its own training. `nll_bound` is comparable: all
models under one distribution of masks, whose mean cross-entropy bounds the negative log-likelihood of the codes.
`nll_exact` is that negative log-likelihood itself, of a model that predicts one token after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import default_collate

from maskgit_lab import ranks
from maskgit_lab.code import code_of
from maskgit_lab.data.tokens import TokenDataset
from maskgit_lab.evaluation.batches import in_batches
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.metrics.registry import BOUND, ERROR, EXACT, NLL
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.autoregressive import next_token_cross_entropy_by_image
from maskgit_lab.objectives.likelihood import order_agnostic_nll
from maskgit_lab.objectives.mvtm import masked_nll
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.loading import Trained
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import CommonConf

AT_ONCE = 32  # images that share a generator of masks: a number of its own, so that no batch size changes the result
MASKS, COMMON_MASKS = 2, 5  # the streams of seeds that masks draw from: a seed's own, and those of all models
SCORES = "likelihood.json"
T = TypeVar("T")


def load_or_compute_likelihoods(
    run: Run[CommonConf], trained: Trained, codes: TokenDataset, asked: tuple[str, ...]
) -> dict[str, float]:
    """Those of `nll` and `nll_bound` that are asked for, under their names, and the bound's standard error.

    An autoregressive model has `nll_exact` and its standard error in place of both.

    Args:
        run: its settings give the seed and the number of masks drawn for each image.
        trained: the transformer, and the schedule of its training.
        codes: held out.
        asked: names of metrics.
    """
    model, schedule = trained.pipeline.model, trained.schedule
    if schedule is None:
        return _exact(run, model, codes)
    scores = _nll(run, model, schedule, codes) if NLL in asked else {}
    return scores | (_bound(run, model, codes) if BOUND in asked else {})


def _nll(run: Run[CommonConf], model: Transformer, schedule: Schedule, codes: TokenDataset) -> dict[str, float]:
    """The masked cross-entropy under the schedule of the training."""
    draws, seed = run.settings.eval.nll_draws, run.settings.seed

    def of_batch(number: int, tokens_BN: Tensor, labels_B: Tensor) -> float:
        generator = torch.Generator(tokens_BN.device).manual_seed(mix_seeds(seed, MASKS, number))
        return masked_nll(model, tokens_BN, labels_B, schedule, model.mask_id, draws, generator)

    def measure() -> dict[str, float]:
        found = _over_batches(run, "NLL", model, codes, of_batch)
        sizes = map(len, in_batches(len(codes), AT_ONCE))
        return {NLL: sum(value * size for value, size in zip(found, sizes, strict=True)) / len(codes)}

    code = code_of(__name__, type(model).__module__, type(schedule).__module__)
    return _kept(run, model, {"schedule": schedule.name, "draws": draws, "seed": seed, "code": code}, measure)


def _bound(run: Run[CommonConf], model: Transformer, codes: TokenDataset) -> dict[str, float]:
    """The order-agnostic bound and its standard error over the held-out images, as a sample of all images.

    The masks are the same for every model and seed: what two models differ by is known far better than either value.
    """
    draws = run.settings.eval.nll_draws

    def of_batch(number: int, tokens_BN: Tensor, labels_B: Tensor) -> list[float]:
        generator = torch.Generator().manual_seed(mix_seeds(COMMON_MASKS, number))
        values: list[float] = order_agnostic_nll(model, tokens_BN, labels_B, model.mask_id, draws, generator).tolist()
        return values

    def measure() -> dict[str, float]:
        # The masks of different images are independent, so that the error holds what they add, too.
        return _mean(BOUND, _over_batches(run, "NLL bound", model, codes, of_batch))

    code = code_of(__name__, type(model).__module__)
    return _kept(run, model, {"bound": "order-agnostic", "draws": draws, "code": code}, measure)


def _exact(run: Run[CommonConf], model: Transformer, codes: TokenDataset) -> dict[str, float]:
    """The negative log-likelihood itself, and its standard error over the held-out images."""

    def of_batch(number: int, tokens_BN: Tensor, labels_B: Tensor) -> list[float]:
        with torch.no_grad():
            nll_B = next_token_cross_entropy_by_image(model(tokens_BN, labels_B), tokens_BN)
        values: list[float] = nll_B.double().tolist()
        return values

    def measure() -> dict[str, float]:
        return _mean(EXACT, _over_batches(run, "NLL", model, codes, of_batch))

    order = model.sizes.get("order")  # which the weights do not tell
    return _kept(
        run, model, {"exact": True, "order": order, "code": code_of(__name__, type(model).__module__)}, measure
    )


def _mean(key: str, batches: Sequence[Sequence[float]]) -> dict[str, float]:
    """Over all images, and its standard error with them as a sample of all images."""
    values_n = torch.tensor([value for batch in batches for value in batch], dtype=torch.float64)
    error = {key + ERROR: float(values_n.std()) / len(values_n) ** 0.5} if len(values_n) > 1 else {}
    return {key: float(values_n.mean()), **error}


def _kept(
    run: Run[CommonConf], model: Transformer, ingredients: Mapping[str, Any], measure: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """What is measured, or was measured before with the same ingredients."""
    assert run.record.tokens is not None

    def make(folder: Path) -> Mapping[str, Any]:
        scores = measure()
        if ranks.is_main():
            (folder / SCORES).write_text(json.dumps(scores), encoding="utf-8")
        return scores

    whole = {"model": weights_digest(model), "tokens": run.record.tokens.digest, **ingredients}
    return {name: float(value) for name, value in run.store.obtain("likelihood", whole, make).about.items()}


def _over_batches(
    run: Run[CommonConf],
    title: str,
    model: Transformer,
    codes: TokenDataset,
    of_batch: Callable[[int, Tensor, Tensor], T],
) -> list[T]:
    """What a function gives for the number, tokens and labels of each batch, in order; the processes share them."""
    device, batches = model.head_bias.device, in_batches(len(codes), AT_ONCE)
    mine = list(enumerate(batches))[ranks.rank() :: ranks.world_size()]
    found: dict[int, T] = {}
    with run.console.bar(title, sum(len(batch) for _, batch in mine), "images/s") as advance:
        for number, batch in mine:
            tokens_BN, labels_B = (part.to(device) for part in default_collate([codes[i] for i in batch]))
            found[number] = of_batch(number, tokens_BN, labels_B)
            advance(len(batch))
    by_batch = {number: value for part in ranks.gather(found) for number, value in part.items()}
    return [by_batch[number] for number in range(len(batches))]
