"""Hydra's and OmegaConf's errors, provoked in the installed versions: each pattern matches what they really say."""

import errno
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from maskgit_lab import config
from maskgit_lab.launch.sentences import EXPECTED, is_expected, sentence

ROOT = Path(__file__).resolve().parents[2]
HELP = "`python train.py --help`"


@pytest.fixture(scope="module", autouse=True)
def conf():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def said(*overrides: str, verb: str = "train") -> str:
    with pytest.raises(EXPECTED) as caught:
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
        ("decode.steps=[1,2", "cannot read the override 'decode.steps=[1,2': write it with its brackets and quotes cl"),
        ("schedule", "cannot read the override 'schedule': write it as schedule=VALUE"),
        # ValidationError: "is not a ListConfig"
        ("eval.steps=8", "eval.steps takes a list: write it as eval.steps=[8]"),
        ("eval.steps='4 8'", "eval.steps takes a list: write it as eval.steps=[4,8]"),
        ("eval.metrics=fid", "eval.metrics takes a list: write it as eval.metrics=[fid]"),
        ("decode.steps={a:1}", "decode.steps takes a list: write it as decode.steps=[A,B]"),
        # MissingMandatoryValue: "Missing mandatory value: x"
        ("data=imagenet", "data.root is needed: give it as data.root=VALUE"),
        ("tokenizer=released256", "tokenizer.weights is needed: give it as tokenizer.weights=VALUE"),
        # ValidationError of a value
        ("seed=x", "seed=x is not possible: give a whole number from 0 to 4294967295"),
        ("seed=", "seed= is not possible: give a whole number from 0"),
        ("seed=null", "seed=null is not possible: give a whole number from 0"),
        ("seed={a:1}", "seed={a:1} is not possible: give a whole number from 0"),
        ("trainer.devices=two", "trainer.devices=two is not possible: give a whole number of at least 1"),
        ("mvtm.optim.lr=fast", "mvtm.optim.lr=fast is not possible: give a positive number"),
        ("mvtm.optim.lr=true", "mvtm.optim.lr=true is not possible: give a positive number"),
        ("eval.splits=1e400", "eval.splits=inf is not possible: give a whole number of at least 1"),
        ("mvtm.net=null", "mvtm.net=null is not possible: give its settings, each as mvtm.net.NAME=VALUE"),
        ("wait=maybe", "wait=maybe is not possible: give true or false"),
        ("logger.project=[a]", "logger.project=[a] is not possible: give a text"),
        ("eval.steps=[1,a]", "a in eval.steps is not possible: give a list of different whole numbers of at least 1"),
        ("hydra.job.num=x", "hydra.job.num=x is not possible: give a whole number"),
        ("hydra.mode=ONCE", "hydra.mode=ONCE is not possible: choose one of RUN, MULTIRUN"),
        ("tokenizer.losses=3", "tokenizer.losses is a group of settings: give them one by one, as tokenizer.losses."),
        ("mvtm.net=3", "mvtm.net describes an object: give "),
        ("seed.x=5", "seed has no settings of its own: give seed=VALUE"),
        # of what a value refers to
        ("seed=${foo}", "seed refers to foo, which is no setting: give seed=VALUE"),
        ("seed=${oc.env:NO_SUCH}", "seed is taken from the environment variable NO_SUCH, which is not set: set it, or"),
        ("seed=${seed}", "seed: it refers to itself"),
        # names that are like none of the settings beside them
        ("data.foo=1", "data.foo: there is no such setting; `python train.py --help` lists what there is"),
        ("mvtm.foo=1", "mvtm.foo: there is no such setting; `python train.py --help` lists what there is"),
        # of Hydra's own sentences, those that say too little
        ("+seed=3", "+seed: there is such a setting already: give seed=VALUE, without the +"),
        ("~absent", "~absent: there is no such setting: leave it out"),
        ("seed@x=5", "seed@x=5: an option of a group cannot be put elsewhere with @: give GROUP=OPTION"),
        ("schedule@decode.schedule=linear", "schedule@decode.schedule: an option of a group cannot be put elsewhere"),
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


MACHINE = {
    FileNotFoundError(errno.ENOENT, "No such file or directory", "a/b"): "a/b: No such file or directory: fix it, or",
    OSError(errno.ENOSPC, "No space left on device", "/runs/a/tmpx"): "the disk that holds /runs/a is full: free some",
    OSError(
        errno.ENOSPC, "No space left on device"
    ): "the disk is full: free some space and run the same command again",
    RuntimeError("I/O error: No space left on device (os error 28)"): "the disk is full: free some space",
    RuntimeError(
        "Could not determine home directory."
    ): "a path begins with ~ and a user that does not exist on this machine",
    MemoryError(): "there is not enough memory: lower the batch size (mvtm.optim.batch_size, ",
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"): "there is not enough memory: lower the",
    RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."
    ): "there is not enough mem",
}


@pytest.mark.parametrize("error", MACHINE, ids=repr)
def test_what_is_wrong_with_a_file_a_disk_or_the_memory(error):
    assert is_expected(error)
    assert sentence(error, config.SCHEMAS["train"], HELP).startswith(MACHINE[error])


SEVERAL = {
    ("train", "seed=1,2"): "seed=1,2 is several values: give -m before it for a job of each",
    ("train", "eval.steps=1,2,4"): "or write a list as eval.steps=[1,2,4]",
    ("train", "decode.steps=1,2"): "or write a list as decode.steps=[1,2]",
    ("train", "eval.metrics=fid,sfid"): "or write a list as eval.metrics=[fid,sfid]",
    ("train", "experiment=digits,cifar10"): "or write a list as experiment=[digits,cifar10]",
    (
        "train",
        "schedule=cosine,linear",
    ): "schedule=cosine,linear is several values: give -m before it for a job of each",
    ("train", "name=a,b"): "or quotes if its commas belong to a text: 'name=\"a,b\"'",
    ("sample", "classes=3,7"): "or write a list as classes=[3,7]",
}


@pytest.mark.parametrize("given", SEVERAL, ids=str)
def test_several_values_are_a_sweep_a_list_or_a_text(given):
    verb, override = given
    error = HydraException(
        f"Ambiguous value for argument '{override}'\n1. To use it as a list, use key=[value1,value2]"
    )
    assert sentence(error, config.SCHEMAS[verb], HELP).endswith(SEVERAL[given])
