"""The training of a run's transformer, whichever it is: begun, resumed, or done already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from maskgit_lab import ranks
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.checkpoints import recovered
from maskgit_lab.lit.extras import extras_of
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.tokenizers import require_file
from maskgit_lab.sampling.transformers import build_transformer, read_own_checkpoint
from maskgit_lab.settings import TrainConf, training
from maskgit_lab.stages.start import Start, start_of
from maskgit_lab.stages.watching import watched_transformer
from maskgit_lab.tokenizers.base import Tokenizer

Identity = dict[str, Any]  # plain values that identify a run, stored in every checkpoint
MakeModule = Callable[[Transformer, Identity], TrainedModule]


def train_transformer(
    run: Run[TrainConf], codes: TokenCache, tokenizer: Tokenizer, make: MakeModule, how: str = ""
) -> None:
    """Trains the run's transformer to its end, if that is not done; every process calls this.

    Args:
        run: whose transformer it is.
        codes: to train on.
        tokenizer: makes images of the samples that are drawn meanwhile.
        make: the module that trains a network.
        how: of the training, for the console.
    """
    if ranks.share(run.folder.is_done("transformer")):
        run.console.note(run.settings.part, f"trained already: {run.folder.checkpoint}")
    else:
        _train(run, codes, tokenizer, make, how)
    run.logger.checkpoints(sorted(run.folder.checkpoints.glob("*.ckpt")))


def _train(run: Run[TrainConf], codes: TokenCache, tokenizer: Tokenizer, make: MakeModule, how: str) -> None:
    conf, part, start = run.settings.transformer, run.settings.part, start_of(run.settings)
    if resumed := ranks.share(ranks.is_main() and recovered(run.folder.checkpoints, run.console)):
        read_own_checkpoint(run.folder)
    elif start is not None and start.resumes:
        assert run.record.tokens is not None
        start.check_tokens(run.record.tokens.digest)
        run.console.note(part, f"continues from {start.path}")
    what = f"training on {len(codes.train):,} token grids for {conf.optim.duration}{how}"
    with run.console.stage(part, f"resumed: {what}" if resumed else what) as notes:
        module = make(_network(run, None if resumed else start), _identity(run))
        run.mark(sizes=_sizes(module.net, tokenizer))
        scores = fit(
            module,
            codes.train,
            codes.test,
            hardware=run.hardware,
            terminal=run.console,
            title=part,
            folder=run.folder.checkpoints,
            watched=watched_transformer(run, tokenizer),
            extras=extras_of(run.settings, part, run.folder.path, run.folder.checkpoints),
            begin=start.path if start is not None and start.resumes else None,
        )
        notes += [f"held-out NLL {scores[key]:.3f}" for key in (f"{part}/val_nll",) if key in scores]
    run.mark(**{part: scores}, dropout_parts=module.dropout_parts)


def _network(run: Run[TrainConf], start: Start | None) -> Transformer:
    """With the weights that the training starts from; a whole training state is read later."""
    settings, data = run.settings, run.folder.data
    seed_all(settings.seed)
    net = build_transformer(settings, data.size, data.n_classes)
    if start is not None:
        path = require_file(start.path, f"the transformer's file {start.key}")
        if not start.resumes:
            start.fill(net)
        run.mark(begun_with=file_sha256(path))
    return net


def _identity(run: Run[TrainConf]) -> Identity:
    assert run.record.tokens is not None
    return {
        "fingerprint": run.record.fingerprint,
        "tokens": run.record.tokens.digest,
        "settings": training(run.settings),
        "code": run.record.code,
    }


def _sizes(net: nn.Module, tokenizer: Tokenizer) -> dict[str, int]:
    assert isinstance(net, Transformer) and isinstance(tokenizer, nn.Module)
    nets = {"transformer": net, "tokenizer": tokenizer}
    return {"tokens": net.n_tokens, **{key: sum(p.numel() for p in each.parameters()) for key, each in nets.items()}}
