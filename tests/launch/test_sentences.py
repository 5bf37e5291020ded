"""Hydra's and OmegaConf's errors, provoked in the installed versions: each pattern matches what they really say."""

import errno
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from maskgit_lab import config
from maskgit_lab.launch.cli import USER_ERRORS
from maskgit_lab.launch.sentences import sentence

ROOT = Path(__file__).resolve().parents[2]
HELP = "`python train.py --help`"


@pytest.fixture(scope="module", autouse=True)
def conf():
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def said(*overrides: str, verb: str = "train") -> str:
    with pytest.raises(USER_ERRORS) as caught:
        config.typed(compose(verb, overrides=list(overrides)), config.SCHEMAS[verb])
    return sentence(caught.value, config.SCHEMAS[verb], HELP)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        # hydra.errors.ConfigCompositionException over omegaconf's ConfigKeyError: "Key 'x' is not in struct"
        ("mvtm.optim.epoch=3", "mvtm.optim.epoch: there is no such setting (did you mean mvtm.optim.epochs?)"),
        # ConfigAttributeError: "Key 'x' not in 'TrainConf'"
        ("sed=3", "sed: there is no such setting (did you mean seed?)"),
        ("+sed=3", "sed: there is no such setting (did you mean seed?)"),
        ("+mvtm.optim.epoch=3", "mvtm.optim.epoch: there is no such setting (did you mean mvtm.optim.epochs?)"),
        # in an object, whose settings are no schema's
        ("mvtm.net.widht=3", "mvtm.net.widht: there is no such setting (did you mean mvtm.net.width?)"),
        # MissingConfigException
        (
            "callbacks=[none,early]",
            "callbacks=early: there is no such option; choose one of device_stats, early_stopping",
        ),
        ("logger=[wandb,csvv]", "logger=csvv: there is no such option (did you mean csv?); choose one of csv, none"),
        (
            "schedule=cosin",
            "schedule=cosin: there is no such option (did you mean cosine?); choose one of arccos, cosine",
        ),
        ("tokenizer=_f17", "tokenizer=_f17: there is no such option"),
        # OverrideParseException
        ("decode.steps=[1,2", "cannot read the override 'decode.steps=[1,2': write it as KEY=VALUE"),
        ("schedule", "cannot read the override 'schedule': write it as KEY=VALUE"),
        # ValidationError: "is not a ListConfig"
        ("eval.steps=8", "eval.steps takes a list: write it as eval.steps=[1,2]"),
        # MissingMandatoryValue: "Missing mandatory value: x"
        ("data=imagenet", "data.root is needed: give it as data.root=VALUE"),
        ("tokenizer=released256", "tokenizer.weights is needed: give it as tokenizer.weights=VALUE"),
        # ValidationError of a value
        ("seed=x", "seed: Value 'x' of type 'str' could not be converted to Integer"),
        ("trainer.devices=two", "trainer.devices: Value 'two' of type 'str' could not be converted to Integer"),
    ],
)
def test_an_error_is_one_sentence_with_the_key_and_what_to_do(override, expected):
    text = said(override)
    assert text.startswith(expected) and "\n" not in text


def test_the_options_of_a_group_leave_out_what_is_shared():
    options = said("tokenizer=absent").partition("choose one of ")[2].split(", ")
    assert options == ["released256", "released512", "vqgan_cifar10", "vqgan_digits", "vqgan_f16"]


def test_what_has_to_be_given():
    assert said(verb="sample").startswith("checkpoint is needed: give it as checkpoint=VALUE")
    assert said("checkpoint=x", verb="export").startswith("out is needed: give it as out=VALUE")


def test_files(tmp_path):
    with pytest.raises(OSError) as caught:
        (tmp_path / "absent" / "file").write_text("")
    text = sentence(caught.value, config.SCHEMAS["train"], HELP)
    assert text == f"{tmp_path}/absent/file: No such file or directory: fix it, or choose another place"


def test_a_full_disk():
    error = OSError(errno.ENOSPC, "No space left on device", "/tmp/tmpx")
    assert sentence(error, config.SCHEMAS["train"], HELP).startswith("the disk is full: free some space and give the")
