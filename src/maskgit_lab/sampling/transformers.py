"""The transformer of a run and what it was trained with, built from its settings; its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from maskgit_lab.errors import UserError
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.building import build_net
from maskgit_lab.nets.checkpoints import IDENTITY_KEY, read_checkpoint
from maskgit_lab.nets.files import check_finite
from maskgit_lab.nets.orders import Order, positions_of
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objects import build
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.sampling.tokenizers import build_vqgan
from maskgit_lab.settings import AUTOREGRESSIVE, MASKGIT, AutoregressiveConf, TrainConf
from maskgit_lab.tokenizers.base import check_divides


def build_schedule(settings: TrainConf) -> Schedule:
    """The schedule of the training."""
    return build(settings.schedule, "schedule", Schedule)  # type: ignore[type-abstract]


def build_order(settings: TrainConf) -> Order:
    """The order in which an autoregressive model predicts the tokens."""
    conf = settings.transformer
    assert isinstance(conf, AutoregressiveConf)
    return build(conf.order, "autoregressive.order", Order)  # type: ignore[type-abstract]


def build_transformer(settings: TrainConf, size: int, n_classes: int) -> Transformer:
    """A transformer with fresh weights, whose sizes follow from the tokenizer and the data.

    Args:
        settings: of the run.
        size: height and width of an image in pixels.
        n_classes: number of classes.
    """
    with torch.device("meta"):
        tokenizer = build_vqgan(settings.tokenizer)
    check_divides(size, size, tokenizer.downsample)
    side = size // tokenizer.downsample
    sizes: dict[str, Any] = {"n_codes": tokenizer.codebook_size, "n_classes": n_classes, "n_tokens": side**2}
    if settings.model == AUTOREGRESSIVE:
        sizes["order"] = positions_of(build_order(settings), side, side).tolist()
    net = build_net(settings.transformer.net, f"{settings.part}.net", Transformer, **sizes)
    if net.is_autoregressive != (settings.model == AUTOREGRESSIVE):
        other = MASKGIT if settings.model == AUTOREGRESSIVE else AUTOREGRESSIVE
        raise UserError(f"{settings.part}.net._target_ names a transformer of model={other}: give model={other}")
    return net


def load_transformer(settings: TrainConf, folder: RunFolder, device: torch.device) -> Transformer:
    """The transformer of the run's last checkpoint: its averaged weights if it has an average.

    Raises:
        UserError: the checkpoint is absent, damaged, or another run's, or its training has diverged.
    """
    state: Any = read_own_checkpoint(folder)["state_dict"]
    prefix = "ema.module." if settings.transformer.optim.ema_decay > 0 else "net."
    net = build_transformer(settings, folder.data.size, folder.data.n_classes)
    try:
        net.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    except RuntimeError as error:
        raise UserError(
            f"the weights in {folder.checkpoint} do not fit the run's config: put the run's own back"
        ) from error
    lower = f"its training diverged, so name another checkpoint, or train again with a lower {settings.part}.optim.lr"
    check_finite(net.state_dict(), str(folder.checkpoint), lower)
    return net.eval().to(device)


def read_own_checkpoint(folder: RunFolder) -> Mapping[str, Any]:
    """The run's last checkpoint.

    Raises:
        UserError: it is absent, damaged, or another run's.
    """
    path, record = folder.checkpoint, folder.record
    checkpoint = read_checkpoint(path)
    identity = checkpoint.get(IDENTITY_KEY)
    if not isinstance(identity, dict) or identity.get("fingerprint") != record.fingerprint:
        raise UserError(f"the checkpoint {path} was made with another config than this run's: put the run's own back")
    if identity.get("tokens") != (record.tokens and record.tokens.digest):
        raise UserError(f"the checkpoint {path} was trained on codes of another tokenizer: choose another run_dir")
    return checkpoint
