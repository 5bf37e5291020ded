"""The NLL of a trained transformer on held-out codes (MaskGIT, Table 3), computed by all processes and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_collate

from maskgit_lab import ranks
from maskgit_lab.code import code_of
from maskgit_lab.data.tokens import TokenDataset
from maskgit_lab.evaluation.batches import in_batches
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.mvtm import masked_nll
from maskgit_lab.runs.run import Run
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import CommonConf

AT_ONCE = 32  # images that share a generator of masks: a number of its own, so that no batch size changes the result
MASKS = 2  # the stream of seeds that the masks draw from
SCORES = "likelihood.json"


def load_or_compute_nll(run: Run[CommonConf], model: Transformer, schedule: Schedule, codes: TokenDataset) -> float:
    """The masked cross-entropy of held-out codes under the schedule of the training, in nats per token.

    Args:
        run: its settings give the seed and the number of masks drawn for each image.
        model: the transformer.
        schedule: of its training.
        codes: held out.
    """
    assert run.record.tokens is not None
    draws, seed = run.settings.eval.nll_draws, run.settings.seed
    ingredients = {
        "model": weights_digest(model),
        "tokens": run.record.tokens.digest,
        "schedule": schedule.name,
        "draws": draws,
        "seed": seed,
        "code": code_of(__name__, type(model).__module__, type(schedule).__module__),
    }
    device = model.head_bias.device

    def measure(folder: Path) -> Mapping[str, Any]:
        batches = in_batches(len(codes), AT_ONCE)
        mine = list(enumerate(batches))[ranks.rank() :: ranks.world_size()]
        found: dict[int, float] = {}
        with run.console.bar("NLL", sum(len(batch) for _, batch in mine), "images/s") as advance:
            for number, batch in mine:
                tokens_BN, labels_B = (part.to(device) for part in default_collate([codes[i] for i in batch]))
                generator = torch.Generator(device).manual_seed(mix_seeds(seed, MASKS, number))
                found[number] = masked_nll(model, tokens_BN, labels_B, schedule, model.mask_id, draws, generator)
                advance(len(batch))
        by_batch = {number: value for part in ranks.gather(found) for number, value in part.items()}
        nll = sum(by_batch[number] * len(batch) for number, batch in enumerate(batches)) / len(codes)
        if ranks.is_main():
            (folder / SCORES).write_text(json.dumps({"nll": nll}), encoding="utf-8")
        return {"nll": nll}

    return float(run.store.obtain("likelihood", ingredients, measure).about["nll"])
