"""A tiny transformer and its training, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import InMemory
from maskgit_lab.lit.extras import Extras
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.mvtm import LitMVTM
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.settings import Hardware, MVTMLoss, Optim

HARDWARE = Hardware(accelerator="cpu", save_every_epochs=1, validate_every_epochs=1)


class Stopped(Exception):
    """As if the process had been killed."""


class Kill(Callback):
    """Ends the process, as it were, at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise Stopped


def codes(n: int) -> InMemory:
    generator = torch.Generator().manual_seed(0)
    return InMemory(torch.randint(0, 12, (n, 9), generator=generator), torch.arange(n) % 3)


def network() -> Transformer:
    seed_all(0)
    return Transformer(n_codes=12, n_classes=3, n_tokens=9, depth=1, heads=2, width=16, mlp_width=32, dropout=0.1)


def module(epochs: int = 4, **optim: Any) -> LitMVTM:
    settings = {"batch_size": 8, "lr": 1e-2, "warmup_steps": 3, "weight_decay": 0.1, **optim}
    return LitMVTM(network(), Cosine(), Optim(epochs=epochs, **settings), MVTMLoss(), 0, {"fingerprint": "x"})


def train(module: LitMVTM, folder: Path | None = None, *callbacks: Callback, **settings: Any) -> dict[str, float]:
    flags = settings.pop("flags", {})
    common = {"hardware": HARDWARE, "terminal": Terminal(), "title": "t", "folder": folder}
    return fit(module, codes(30), codes(12), **common | settings, extras=Extras(flags, callbacks))


def weights(module: LitMVTM) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.net.parameters()])
