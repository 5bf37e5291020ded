"""Flags of Lightning's trainer and callbacks: which there are, which count, and what is said of others."""

from inspect import signature

import pytest
from lightning import Trainer

from maskgit_lab.errors import UserError
from maskgit_lab.settings import CommonConf, EvaluateHardware, Hardware, checked, of_today
from maskgit_lab.settings.callbacks import HARMLESS as HARMLESS_CALLBACKS
from maskgit_lab.settings.callbacks import counted_callbacks, works_in
from maskgit_lab.settings.flags import FLAGS, HARMLESS, LIMITING, counted, limits, with_flags
from maskgit_lab.settings.renamed import OF_TRAINER


def test_the_names_are_lightnings():
    from lightning.pytorch import callbacks

    assert set(FLAGS) == set(signature(Trainer).parameters)
    assert {*OF_TRAINER, *HARMLESS, *LIMITING} <= set(FLAGS)
    assert not set(OF_TRAINER) & {*HARMLESS, *LIMITING}
    assert all(hasattr(callbacks, name) for name in HARMLESS_CALLBACKS)


def test_what_is_no_setting_of_ours_is_a_flag():
    given = {"devices": 2, "profiler": "simple", "flags": {"max_time": "00:01:00:00"}}
    assert with_flags(given, ["devices", "flags"]) == {
        "devices": 2,
        "flags": {"max_time": "00:01:00:00", "profiler": "simple"},
    }


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("max_epochs", "trainer.max_epochs is not used here: give mvtm.optim.epochs or tokenizer.optim.epochs"),
        ("plugins", "leave it out"),
        ("devcies", "did you mean trainer.devices?"),
        ("proflier", "did you mean trainer.profiler?"),
        ("xyz", "neither a setting of this suite nor a flag of lightning.Trainer; "),
    ],
)
def test_another_flag_is_refused_with_what_works(flag, sentence):
    with pytest.raises(UserError) as caught:
        Hardware(flags={flag: 1})
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_strategies_that_start_processes_are_refused():
    with pytest.raises(UserError, match="choose ddp"):
        Hardware(flags={"strategy": "ddp_notebook"})


def test_flags_count_unless_they_are_harmless_or_off():
    flags = {"profiler": "simple", "limit_train_batches": 10, "fast_dev_run": False, "val_check_interval": 5}
    assert counted(flags) == {"limit_train_batches": 10, "val_check_interval": 5}
    assert counted({"limit_train_batches": 1.0, "overfit_batches": 0.0, "max_time": None}) == {}
    assert counted({"limit_train_batches": 1}) == {"limit_train_batches": 1}


def test_an_evaluation_takes_no_flags():
    with pytest.raises(UserError, match=r"trainer.profiler: there is no such setting of evaluate.py"):
        EvaluateHardware(flags={"profiler": "simple"})


def test_settings_of_earlier_versions_have_the_names_of_today():
    before = {"mvtm": {"optim": {"lr": 1.0, "betas": [0.9, 0.96]}}, "cas": None, "seed": 3}
    adamw = {"_target_": "torch.optim.AdamW", "_partial_": True, "betas": [0.9, 0.96]}
    assert of_today(before) == {"mvtm": {"optim": {"lr": 1.0, "optimizer": adamw}}, "cas": None, "seed": 3}
    assert of_today(of_today(before)) == of_today(before) and "betas" in before["mvtm"]["optim"]


def test_limits_in_words():
    assert limits({"limit_train_batches": 10, "fast_dev_run": True, "profiler": "simple"}) == (
        "fast_dev_run=true limit_train_batches=10"
    )
    assert limits({"profiler": "simple", "limit_val_batches": 1.0}) is None


def test_a_limited_run_says_so_in_its_rows():
    limited = {"trainer": {"flags": {"limit_train_batches": 10}}}
    assert checked(CommonConf, limited).debug == "limit_train_batches=10"
    assert checked(CommonConf, limited | {"debug": "tiny"}).debug == "tiny"
    assert checked(CommonConf, {}).debug is None


def test_callbacks_count_unless_they_are_known_to_be_harmless():
    lightning = "lightning.pytorch.callbacks"
    nodes = {
        "best": {"_target_": f"{lightning}.ModelCheckpoint", "monitor": "mvtm/val_nll"},
        "lr": {"_target_": f"{lightning}.lr_monitor.LearningRateMonitor"},
        "mine": {"_target_": "my_module.ModelCheckpoint"},
        "stop": {"_target_": f"{lightning}.EarlyStopping", "monitor": "mvtm/val_nll"},
    }
    assert counted_callbacks(nodes).keys() == {"mine", "stop"}
    assert [works_in(nodes["stop"], stage) for stage in ("tokenizer", "mvtm")] == [False, True]
    assert works_in(nodes["lr"], "tokenizer")
