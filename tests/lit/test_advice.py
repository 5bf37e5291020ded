"""The advice that a trainer silences: the patterns match messages of the installed Lightning and torch."""

import os
import re
import warnings

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger

from maskgit_lab.lit.trainer import ADVICE


def train(folder):
    """A training that deserves most of the advice: few batches, no workers, a full folder, a network in eval mode.

    It is resumed without its callback, and within an epoch.
    """
    (folder / "last.ckpt").touch()
    model = BoringModel()
    model.layer.eval()
    saving = ModelCheckpoint(folder)
    settings = {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 0}
    settings |= {"enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(**settings, callbacks=[saving], logger=CSVLogger(folder))
    trainer.fit(model)
    trainer.save_checkpoint(folder / "whole.ckpt")
    without = Trainer(**settings, enable_checkpointing=False, logger=False)
    without.fit(model, ckpt_path=folder / "whole.ckpt", weights_only=True)
    steps = ModelCheckpoint(folder / "steps", "{step}", every_n_train_steps=1, save_top_k=-1)
    Trainer(**settings, callbacks=[steps], logger=False).fit(model)
    Trainer(**settings, enable_checkpointing=False, logger=False).fit(
        model, ckpt_path=folder / "steps" / "step=1.ckpt", weights_only=True
    )
    moved = ModelCheckpoint(folder / "elsewhere")
    moved.load_state_dict(saving.state_dict())


def write_nondeterministically():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Every warning that such a training gives on a machine with a GPU and several cores."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patch.setattr(os, "sched_getaffinity", lambda process: range(8))
        patch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
        train(tmp_path_factory.mktemp("advice"))
        write_nondeterministically()
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("pattern", ADVICE)
def test_every_pattern_matches_a_message_of_the_installed_libraries(messages, pattern):
    assert any(re.match(pattern, message, re.IGNORECASE) for message in messages), messages
