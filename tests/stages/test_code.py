"""The code that trains a run: a user's own optimizer, schedule or callback is part of it."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from maskgit_lab import config
from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.settings import TrainConf, run_fingerprint
from maskgit_lab.stages.code import training_code
from maskgit_lab.stages.tokenizer import tokenizer_ingredients

CONF = Path(__file__).resolve().parents[2] / "conf"
OWN = "my_training_code.py"


def composed(*overrides: str) -> TrainConf:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return config.typed(compose("train", overrides=list(overrides)), TrainConf)


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / OWN).write_text("class Mine:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)


def images() -> ImageData:
    items = InMemory(torch.zeros(2, 3, 16, 16), torch.arange(2))
    return ImageData("any", items, items, ["a", "b"], 16, "fingerprint")


@pytest.mark.parametrize(
    ("override", "in_run", "in_tokenizer"),
    [
        ("mvtm.optim.optimizer._target_", True, False),
        ("mvtm.optim.scheduler._target_", True, False),
        ("tokenizer.optim.optimizer._target_", True, True),
        ("+callbacks.mine._target_", True, True),
    ],
)
def test_code_in_the_working_folder_counts(override, in_run, in_tokenizer):
    settings = composed(f"{override}=my_training_code.Mine")
    assert (OWN in training_code(settings)) == in_run
    assert (OWN in tokenizer_ingredients(settings, images())["code"]) == in_tokenizer


def test_only_what_can_change_weights_makes_another_run():
    same = ["trainer.profiler=simple", "callbacks=[lr_monitor,model_checkpoint,device_stats,rich_model_summary]"]
    assert run_fingerprint(composed(*same)) == run_fingerprint(composed("trainer.validate_every_epochs=2"))
    others = ["trainer.limit_train_batches=2", "callbacks=early_stopping", "trainer.val_check_interval=5"]
    others.append("callbacks=early_stopping trainer.validate_every_epochs=2")
    fingerprints = [run_fingerprint(composed(*other.split())) for other in ("", *others)]
    assert len(set(fingerprints)) == 5


def test_a_tokenizer_knows_the_callbacks_that_take_part_in_its_training():
    def ingredients(*overrides):
        return tokenizer_ingredients(composed(*overrides), images())

    assert ingredients("callbacks=early_stopping") == ingredients()
    monitor = "callbacks.early_stopping.monitor=tokenizer/val_mse"
    assert ingredients("callbacks=early_stopping", monitor)["callbacks"].keys() == {"early_stopping"}
    assert ingredients("trainer.limit_train_batches=2") != ingredients() == ingredients("trainer.profiler=simple")
