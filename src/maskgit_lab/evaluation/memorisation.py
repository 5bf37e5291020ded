"""Memorisation by codes: the grids of samples beside those of the training images, which a transformer has learnt from.

Shapes: n grids, m of training images, N tokens each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from maskgit_lab.code import code_of
from maskgit_lab.data.tokens import TokenCache, TokenDataset
from maskgit_lab.evaluation.spread import spread_evenly
from maskgit_lab.metrics.memorisation import nearest_by_codes, share_nearer, threshold
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf

THRESHOLD = "threshold.json"


@dataclass(frozen=True)
class KnownCodes:
    """The codes of training images and of held-out ones."""

    cache: TokenCache
    digest: str  # of the cache
    most: int  # so many images of each split are compared, at the most: the first cached view of each, spread evenly

    def memorised(self, run: Run[CommonConf], tokens_nN: Int[Tensor, "n N"]) -> dict[str, float]:
        """`memorised_codes`: the share of grids that are nearer to one of training than held-out images' grids are."""
        near = float(run.store.obtain("memorisation", self._ingredients, self._measure_held_out).about["near"])
        return {"memorised_codes": share_nearer(nearest_by_codes(tokens_nN, self._grids(self.cache.train)), near)}

    @property
    def _ingredients(self) -> dict[str, Any]:
        return {"tokens": self.digest, "most": self.most, "code": code_of(__name__)}

    def _measure_held_out(self, folder: Path) -> Mapping[str, Any]:
        near = threshold(nearest_by_codes(self._grids(self.cache.test), self._grids(self.cache.train)))
        (folder / THRESHOLD).write_text(json.dumps({"near": near}), encoding="utf-8")
        return {"near": near}

    def _grids(self, split: TokenDataset) -> Int[Tensor, "m N"]:
        return torch.stack([split[i][0] for i in spread_evenly(len(split), self.most)])
