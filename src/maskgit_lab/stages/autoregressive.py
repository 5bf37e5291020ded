"""Trains the autoregressive transformer that MaskGIT is compared with."""

from __future__ import annotations

from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.lit.autoregressive import LitAutoregressive
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.transformers import build_order
from maskgit_lab.settings import AutoregressiveConf, TrainConf
from maskgit_lab.stages.transformer import Identity, train_transformer
from maskgit_lab.tokenizers.base import Tokenizer


def train_autoregressive(run: Run[TrainConf], codes: TokenCache, tokenizer: Tokenizer) -> None:
    """Trains it to its end, if that is not done; see `train_transformer`."""
    conf = run.settings.transformer
    assert isinstance(conf, AutoregressiveConf)

    def module(net: Transformer, identity: Identity) -> LitAutoregressive:
        return LitAutoregressive(net, conf.optim, conf.label_smoothing, conf.label_dropout, run.settings.seed, identity)

    train_transformer(run, codes, tokenizer, module, f", {build_order(run.settings).name} order")
