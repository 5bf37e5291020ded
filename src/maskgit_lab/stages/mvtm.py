"""Trains the transformer of MaskGIT, which fills masked tokens."""

from __future__ import annotations

from dataclasses import fields

from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.lit.mvtm import LitMVTM
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.transformers import build_schedule
from maskgit_lab.settings import MVTMLoss, TrainConf
from maskgit_lab.stages.transformer import Identity, train_transformer
from maskgit_lab.tokenizers.base import Tokenizer


def train_mvtm(run: Run[TrainConf], codes: TokenCache, tokenizer: Tokenizer) -> None:
    """Trains it to its end, if that is not done; see `train_transformer`."""
    conf, schedule = run.settings.mvtm, build_schedule(run.settings)
    loss = MVTMLoss(**{field.name: getattr(conf, field.name) for field in fields(MVTMLoss)})

    def module(net: Transformer, identity: Identity) -> LitMVTM:
        return LitMVTM(net, schedule, conf.optim, loss, run.settings.seed, identity)

    train_transformer(run, codes, tokenizer, module, f", {schedule.name} schedule")
