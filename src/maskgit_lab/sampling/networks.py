"""The networks of a run, built from its settings and filled with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.checkpoints import IDENTITY_KEY, read_checkpoint
from maskgit_lab.nets.files import load_net
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.objects import build
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.settings import TokenizerConf, TrainConf
from maskgit_lab.tokenizers.base import check_divides
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer


def build_vqgan(conf: TokenizerConf) -> VQGAN:
    """The tokenizer's network with fresh weights."""
    return build(conf.net, "tokenizer.net", VQGAN)


def build_schedule(settings: TrainConf) -> Schedule:
    """The schedule of the training."""
    return build(settings.schedule, "schedule", Schedule)  # type: ignore[type-abstract]


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
    n_tokens = (size // tokenizer.downsample) ** 2
    sizes = {"n_codes": tokenizer.codebook_size, "n_classes": n_classes, "n_tokens": n_tokens}
    return build(settings.mvtm.net, "mvtm.net", Transformer, **sizes)


def load_tokenizer(conf: TokenizerConf, path: Path, device: torch.device) -> VQGANTokenizer:
    """The tokenizer with the weights of a file.

    Raises:
        UserError: the file is absent or damaged, or does not fit `tokenizer.net`.
    """
    net = build_vqgan(conf)
    load_net(net, require_file(path, "the tokenizer's file"))
    return VQGANTokenizer(net).to(device)


def load_transformer(settings: TrainConf, folder: RunFolder, device: torch.device) -> Transformer:
    """The transformer of the run's last checkpoint: its averaged weights if it has an average.

    Raises:
        UserError: the checkpoint is absent, damaged, or another run's.
    """
    state: Any = read_own_checkpoint(folder)["state_dict"]
    prefix = "ema.module." if settings.mvtm.optim.ema_decay > 0 else "net."
    net = build_transformer(settings, folder.data.size, folder.data.n_classes)
    try:
        net.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    except RuntimeError as error:
        raise UserError(
            f"the weights in {folder.checkpoint} do not fit the run's config: put the run's own back"
        ) from error
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


def tokenizer_file(folder: RunFolder) -> Path:
    """The file of a run's tokenizer.

    Raises:
        UserError: there is none yet, it is gone, or is another one now.
    """
    record = folder.record.tokenizer
    if record is None:
        raise UserError(f"the run in {folder.path} has no tokenizer yet: give its train.py command again")
    path = Path(record.path)
    if not path.is_file():
        raise UserError(f"the tokenizer's file {path} is missing: give the train.py command of the run again")
    if file_sha256(path) != record.weights:
        raise UserError(f"{path} is not the tokenizer of {folder.path} any more: give its train.py command again")
    return path


def require_file(path: Path, what: str) -> Path:
    """The path, if a file is there.

    Raises:
        UserError: it is not.
    """
    if not path.is_file():
        raise UserError(f"{what} {path} is missing: name the file that is there, or make it again with train.py")
    return path
