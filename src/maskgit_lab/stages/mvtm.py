"""The transformer of a run: trained, resumed, or trained already."""

from __future__ import annotations

from dataclasses import fields

from maskgit_lab import ranks
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.lit.extras import extras_of
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.mvtm import LitMVTM
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.tokenizers import require_file
from maskgit_lab.sampling.transformers import build_schedule, build_transformer, read_own_checkpoint
from maskgit_lab.settings import MVTMLoss, TrainConf, training
from maskgit_lab.stages.start import Start, start_of


def train_transformer(run: Run[TrainConf], codes: TokenCache) -> None:
    """Trains the run's transformer to its end, if that is not done; every process calls this."""
    if ranks.share(run.folder.is_done("mvtm")):
        run.console.note("mvtm", f"trained already: {run.folder.checkpoint}")
    else:
        _train(run, codes)


def _train(run: Run[TrainConf], codes: TokenCache) -> None:
    conf, start = run.settings.mvtm, start_of(run.settings)
    if resumed := ranks.share(run.folder.checkpoint.exists()):
        read_own_checkpoint(run.folder)
    elif start is not None and start.resumes:
        assert run.record.tokens is not None
        start.check_tokens(run.record.tokens.digest)
        run.console.note("mvtm", f"goes on with {start.path}")
    schedule = build_schedule(run.settings)
    what = f"training on {len(codes.train):,} token grids for {conf.optim.duration}, {schedule.name} schedule"
    with run.console.stage("mvtm", f"resumed: {what}" if resumed else what) as notes:
        scores = fit(
            _module(run, None if resumed else start),
            codes.train,
            codes.test,
            hardware=run.hardware,
            terminal=run.console,
            title="mvtm",
            folder=run.folder.checkpoints,
            logger=run.logger.lightning,
            extras=extras_of(run.settings, "mvtm", run.folder.path, run.folder.checkpoints),
            begin=start.path if start is not None and start.resumes else None,
        )
        notes += [f"held-out NLL {scores[key]:.3f}" for key in ("mvtm/val_nll",) if key in scores]
    run.mark(mvtm=scores)


def _module(run: Run[TrainConf], start: Start | None) -> LitMVTM:
    """The module, which has the weights that its training starts from; a whole training state is read later."""
    settings, conf, data = run.settings, run.settings.mvtm, run.folder.data
    seed_all(settings.seed)
    net = build_transformer(settings, data.size, data.n_classes)
    if start is not None:
        path = require_file(start.path, f"the transformer's file {start.key}")
        if not start.resumes:
            start.fill(net)
        run.mark(begun_with=file_sha256(path))
    loss = MVTMLoss(**{field.name: getattr(conf, field.name) for field in fields(MVTMLoss)})
    assert run.record.tokens is not None
    own = {
        "fingerprint": run.record.fingerprint,
        "tokens": run.record.tokens.digest,
        "settings": training(settings),
        "code": run.record.code,
    }
    return LitMVTM(net, build_schedule(settings), conf.optim, loss, settings.seed, own)
