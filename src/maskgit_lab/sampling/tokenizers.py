"""The tokenizer of a run, built from its settings and filled with its weights."""

from __future__ import annotations

from pathlib import Path

import torch

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.nets.building import build_net
from maskgit_lab.nets.files import load_net
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import RECORD
from maskgit_lab.settings import TokenizerConf
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer


def build_vqgan(conf: TokenizerConf) -> VQGAN:
    """The tokenizer's network with fresh weights."""
    return build_net(conf.net, "tokenizer.net", VQGAN)


def load_tokenizer(conf: TokenizerConf, path: Path, device: torch.device) -> VQGANTokenizer:
    """The tokenizer with the weights of a file.

    Raises:
        UserError: the file is absent or damaged, or does not fit `tokenizer.net`.
    """
    net = build_vqgan(conf)
    load_net(net, require_file(path, "the tokenizer's file"))
    return VQGANTokenizer(net).to(device)


def tokenizer_file(folder: RunFolder) -> Path:
    """The file of a run's tokenizer.

    Raises:
        UserError: there is none yet, it is gone, or is another one now.
    """
    record = folder.record.tokenizer
    if record is None:
        raise UserError(f"the run in {folder.path} has no tokenizer yet: {folder.again}")
    path = folder.place(record.path)
    if not path.is_file():
        raise UserError(
            f"the tokenizer's file {path} is missing: name the cache that has it with cache_dir=FOLDER, or "
            f"{folder.again} to make it again"
        )
    if file_sha256(path) != record.weights:
        raise UserError(
            f"{path} is not the tokenizer that {folder.path / RECORD} names: put a copy of either back, or "
            "choose another run_dir and train again"
        )
    return path


def require_file(path: Path, what: str) -> Path:
    """The path, if a file is there.

    Raises:
        UserError: it is not.
    """
    if not path.is_file():
        raise UserError(f"{what} {path} is missing: name the file that is there, or make it again with train.py")
    return path
