"""The NLL of a trained transformer on held-out codes (MaskGIT, Table 3), computed by all processes and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_collate

from maskgit_lab import ranks
from maskgit_lab.data.tokens import TokenDataset
from maskgit_lab.evaluation.batches import in_batches
from maskgit_lab.evaluation.sources import Generated
from maskgit_lab.fingerprints import code_version
from maskgit_lab.objectives.mvtm import masked_nll
from maskgit_lab.runs.run import Run
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import CommonConf

AT_ONCE = 32  # images that share a generator of masks: a number of its own, so that no batch size changes the result
MASKS = 2  # the stream of seeds that the masks draw from
SCORES = "likelihood.json"
MODULES = (
    *("maskgit_lab.evaluation.likelihood", "maskgit_lab.objectives.mvtm", "maskgit_lab.masking.corruption"),
    "maskgit_lab.masking.schedules",
)


def load_or_compute_nll(run: Run[CommonConf], source: Generated, codes: TokenDataset) -> float:
    """The masked cross-entropy of held-out codes under the schedule of the training, in nats a token.

    Args:
        run: its settings give the seed and the number of masks drawn for each image.
        source: of the model.
        codes: held out.
    """
    model, schedule = source.pipeline.model, source.trained.schedule
    draws, seed = run.settings.eval.nll_draws, run.settings.seed
    ingredients = {
        "model": dict(source.weights),
        "schedule": schedule.name,
        "draws": draws,
        "seed": seed,
        "code": code_version(*MODULES),
    }
    device = source.pipeline.device

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
