"""The transformer of a run: trained, resumed or loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from omegaconf import DictConfig

from maskgit_lab import config, ranks
from maskgit_lab.commands.job import Job, as_object, build, device_of, require_file
from maskgit_lab.commands.run_folder import RunFolder
from maskgit_lab.commands.tokenizing import how_long
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.errors import UserError
from maskgit_lab.lit.checkpoints import read_checkpoint
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.mvtm import IDENTITY_KEY, LitMVTM
from maskgit_lab.nets.files import load_net
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.settings import MVTMLoss, Optim
from maskgit_lab.tokenizers.base import check_divides


@runtime_checkable
class Sizes(Protocol):
    """What a transformer has to know of the data: `ImageData`, or what a run recorded of it."""

    @property
    def size(self) -> int:
        """Height and width of an image in pixels."""
        ...

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        ...


def ensure_transformer(job: Job, cache: TokenCache) -> None:
    """Trains the run's transformer to its end, if it is not yet; every process calls this."""
    if ranks.share(job.run.is_done(["mvtm"])):
        job.terminal.note("mvtm", f"trained already: {job.run.checkpoint}")
    else:
        _train(job, cache)


def load_transformer(cfg: DictConfig, run: RunFolder, data: Sizes) -> Transformer:
    """The transformer of the run's last checkpoint: its averaged weights if it has an average.

    Raises:
        UserError: the checkpoint is absent, damaged, or another run's.
    """
    state: Any = read_own_checkpoint(run)["state_dict"]
    prefix = "ema.module." if cfg.mvtm.optim.ema_decay > 0 else "net."
    net = build_transformer(cfg, data)
    try:
        net.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    except RuntimeError as error:
        raise UserError(
            f"the weights in {run.checkpoint} do not fit the run's config: put the run's own back"
        ) from error
    return net.eval().to(device_of(cfg.trainer.accelerator))


def build_transformer(cfg: DictConfig, data: Sizes) -> Transformer:
    """A transformer with fresh weights, whose sizes follow from the tokenizer and the data."""
    with torch.device("meta"):
        tokenizer = build(cfg.tokenizer.net, "tokenizer.net", VQGAN)
    check_divides(data.size, data.size, tokenizer.downsample)
    n_tokens = (data.size // tokenizer.downsample) ** 2
    sizes = {"n_codes": tokenizer.codebook_size, "n_classes": data.n_classes, "n_tokens": n_tokens}
    return build(cfg.mvtm.net, "mvtm.net", Transformer, **sizes)


def read_own_checkpoint(run: RunFolder) -> Mapping[str, Any]:
    """The run's last checkpoint.

    Raises:
        UserError: it is absent, damaged, or another run's.
    """
    path = run.checkpoint
    checkpoint = read_checkpoint(path)
    identity = checkpoint.get(IDENTITY_KEY)
    if not isinstance(identity, dict) or identity.get("fingerprint") != run.record["fingerprint"]:
        raise UserError(f"the checkpoint {path} was made with another config than this run's: put the run's own back")
    if identity.get("tokens") != run.record["done"].get("tokens", {}).get("digest"):
        raise UserError(f"the checkpoint {path} was trained on codes of another tokenizer: choose another run_dir")
    return checkpoint


def _train(job: Job, cache: TokenCache) -> None:
    if resumed := ranks.share(job.run.checkpoint.exists()):
        read_own_checkpoint(job.run)
    conf = job.cfg.mvtm
    optim = as_object(conf.optim, Optim)
    schedule = job.train_schedule
    seed_all(job.cfg.seed)
    net = build_transformer(job.cfg, job.data)
    if conf.weights is not None and not resumed:
        load_net(net, require_file(Path(conf.weights).expanduser(), "the transformer's file mvtm.weights"))
    identity = {
        "fingerprint": job.run.record["fingerprint"],
        "tokens": job.run.record["done"]["tokens"]["digest"],
        "settings": config.settings(job.cfg),
    }
    loss = MVTMLoss(**{field.name: conf[field.name] for field in fields(MVTMLoss)})
    module = LitMVTM(net, schedule, optim, loss, job.cfg.seed, identity)
    what = f"training on {len(cache.train):,} token grids for {how_long(optim)}, {schedule.name} schedule"
    with job.terminal.stage("mvtm", f"resumed: {what}" if resumed else what) as notes:
        scores = fit(
            module,
            cache.train,
            cache.test,
            hardware=job.hardware,
            terminal=job.terminal,
            title="mvtm",
            folder=job.run.checkpoints,
            logger=job.logger,
        )
        notes.append(f"held-out NLL {scores['mvtm/val_nll']:.3f}")
    job.run.mark_done("mvtm", **scores)
