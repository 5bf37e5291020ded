"""Every mistake of a user's gets one sentence, a non-zero exit and no traceback, and costs them nothing."""

import json
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file

from copies import copy_of
from maskgit_lab.nets.checkpoints import seal
from maskgit_lab.runs.names import LAST
from records import change_record, read_record, write_record
from refusals import expect_refused

# The rules of single settings are in tests/settings.
SETTINGS = {
    "schedule=cosin": "did you mean cosine?",
    "foo=1": "foo: there is no such setting",
    "+foo=1": "foo: there is no such setting",
    "mvtm.optim.epoch=3": "did you mean mvtm.optim.epochs?",
    "debug=tinny": "did you mean tiny?",
    "eval.steps=[2] decode.steps=[4]": "eval.steps is another name of decode.steps: give only one of them",
    "eval.steps=[0]": "eval.steps=[0] is not possible",
    "eval.steps=[]": "name at least one number of decoding steps",
    "eval.steps=[2,2]": "name every number of steps once",
    "eval.steps=8": "eval.steps takes a list",
    "eval.steps=[4": "cannot read the override 'eval.steps=[4'",
    "seed=abc": "seed=abc is not possible: give a whole number from 0 to 4294967295",
    "--seed 5": "settings have no dashes before them (did you mean seed=5?)",
    "eval.steps=1,2,4": "is several values: give -m before it for a job of each, or write a list as eval.steps=[1,2,4]",
    "eval.metrics=fid": "eval.metrics takes a list: write it as eval.metrics=[fid]",
    "callbacks=3": "callbacks=3: there is no such option; choose one of device_stats",
    "data.foo=1": "data.foo: there is no such setting; `python train.py --help`",
    "hydra.launcher._target_=os.system": "choose one of the options of hydra/launcher, with hydra/launcher=NAME",
    "seed=-1": "seed=-1 is not possible",
    "stage=mvmt": "choose one of tokenizer, tokens, mvtm, autoregressive, all",
    "decode.schedule=cosin": "decode.schedule=cosin: there is no such schedule",
    "decode.choice_temperature=-1": "give a number that is not negative",
    "trainer.accelerator=tpu": "choose one of auto, cpu",
    "data.size=17": "choose a size that is a multiple of 2",
    "data.size=4": "data.size=4 is smaller than the scans",
    "data.test_fraction=2": "give a fraction from 0.05 to 0.95",
    "mvtm.net.heads=3": "not a multiple of its 3 heads",
    "+mvtm.net.hads=3": "mvtm.net.hads: there is no such setting of Transformer; it has depth, ",
    "schedule._target_=no.such.Class": "schedule cannot be built",
    "mvtm.optim.lr=1e308": "mvtm.optim.lr=1e+308 is not possible: give at most 1e+30",
    "mvtm.optim.lr=0": "mvtm.optim.lr=0.0 is not possible",
    "mvtm.optim.betas=[0.9]": "mvtm.optim.betas: there is no such setting",
    "mvtm.optim.optimizer.betas=[2,3]": "mvtm.optim.optimizer cannot be built (Invalid beta parameter",
    "tokenizer.optim.batch_size=0": "give a whole number of at least 1",
    "eval.neighbours=5000": "eval.neighbours=5000 is not below",
    "eval.splits=5000": "eval.splits=5000 is too many for the 300 images there are: lower it",
    "data=null": "data=null is not possible: choose one of cifar10, digits",
    "data._target_=builtins.dict": "data._target_ does not make the required ImageData",
    "mvtm.net._target_=torch.nn.Identity": "mvtm.net._target_ does not make the required Transformer",
    "mvtm.net.width=0": "sizes of at least 1",
    "tokenizer.net.multipliers=[]": "needs a level",
    "tokenizer.net.n_blocks=0": "sizes of at least 1",
    "mvtm.net.dropout=nan": "mvtm.net.dropout=nan is not possible",
    "mvtm.label_smoothing=2": "from 0 to below 1",
    "trainer.threads=100000": "trainer.threads=100000 is not possible",
    "trainer.precision=16-mixed trainer=cpu": "needs a GPU",
    "cache_dir=": "cache_dir= is not possible",
    "run_dir='~nosuchuser/x'": "run_dir=~nosuchuser/x is not possible: ~nosuchuser is not a user of this machine",
    "data=image_folder data.root=": "data.root= is not possible: give the path of a file or a folder",
    "name=../../x": "name=../../x is not possible: give the name of one folder",
    "~tokenizer": "~tokenizer is not possible: choose one of released256",
    "optimized_metric=fid": "optimized_metric=fid is not measured by this command: choose one of fd_classifier",
    "optimized_metric=nll stage=mvtm": "optimized_metric needs an evaluation: leave stage out",
    "tokenizer.optim.lr=1e30": "diverged",
    "cache_dir=file/cache": "choose another with cache_dir=PATH",
    "run_dir=file/run": "choose another run_dir",
    "run_dir=file": "is a file",
    "run_dir=full": "contains no run",
    "tokenizer/perceptual=lpips tokenizer.perceptual_weights=absent.pth": "absent.pth is not there",
    "tokenizer/perceptual=resnet50 tokenizer.perceptual_weights=file": "file does not hold torchvision's weights of",
    "tokenizer/perceptual=lpips data.size=8": "tokenizer.perceptual cannot run on these data",
    "tokenizer/perceptual=vgg16": "choose one of lpips, none, resnet50",
    "tokenizer.perceptual=vgg16": "describes an object: give tokenizer/perceptual=lpips, tokenizer/perceptual=none, ",
    "tokenizer.losses.perceptual=1": "tokenizer.losses.perceptual=1.0 weighs no loss: give tokenizer/perceptual=lpips",
    "tokenizer/perceptual=lpips tokenizer.perceptual.net=1": "there is no such setting of LPIPS; it has weights",
    "tokenizer.perceptual._target_=torch.nn.Identity tokenizer.losses.perceptual=1": "tokenizer.perceptual cannot run",
    "tokenizer.discriminator._target_=torch.nn.Identity": "for 2 images, and not one logit for each image, (2,)",
    "callbacks=early_stopping callbacks.early_stopping.patience=-3": "patience=-3 is not possible: give a whole",
    "decode.schedule=0": "decode.schedule=0 is not possible: give the name of a schedule, such as cosine",
    "eval.reference_features=2": "is not below the number of images of eval.reference_features, 2",
    "tokenizer.weights=absent": "tokenizer.weights=absent is not there",
    "tokenizer.weights=file": "file is not a valid safetensors file",
    "tokenizer.weights=net.safetensors": "does not fit the network: it lacks ",
    "tokenizer.train_size=9": "choose a size that is a multiple of 2",
    "tokens.path=absent": "tokens.path=absent is not there",
    "tokens.path=full": "tokens.path=full is no finished entry of a cache",
    "max_images=1": "max_images=1 is not possible: give a whole number of at least 2",
    "mvtm.net=null": "mvtm.net=null is not possible: give its settings, each as mvtm.net.NAME=VALUE",
    "tokenizer.net.multipliers=1": "not possible: give a list, as tokenizer.net.multipliers=[1]",
    "mvtm.weights=absent": "mvtm.weights=absent is not there",
    "mvtm.weights=net.safetensors": "does not fit the network: it lacks head_bias",
    "decode.guidance=2": "needs a model that was trained with mvtm.label_dropout above 0",
    "decode.guidance=-1 mvtm.label_dropout=0.1": "not negative",
    "eval.n_samples=2": "eval.neighbours=3 is not below the number of images, 2",
    "trainer.accumulate=7": "cannot be split evenly into 1 (devices) x 7 (accumulated batches)",
    "trainer.devices=3": "cannot be split evenly into 3 (devices)",
    "trainer.devices=2 trainer.num_nodes=2": "needs this command to be started on each machine",
    "features=inception features.weights=file": "does not hold the weights of features=inception (its SHA-256 starts",
    "features=resnet56_cifar10": "give its path with features.weights=FILE",
    "features=vgg16 features.weights=absent": "the weights of features=vgg16 cannot be read from absent",
    "features=dinov2 features.weights=file": "is not used by features=dinov2",
    "eval.metrics=[fud]": "eval.metrics=[fud] is not possible: choose from fid, sfid",
    "eval.metrics=[]": "eval.metrics=[] is not possible",
    "eval.reference=absent": "eval.reference=absent does not exist",
    "eval.reference=full": "full has no images",
    "cas=resnet50 cas.net.layers=[1,2]": "four stages",
    "cas.net._target_=torch.nn.Identity": "cas.net._target_ does not make the required Classifier",
    "cas=null classifier=null features=inception stage=nosuch": "stage=nosuch is not possible",
    "cas=resnet": "did you mean resnet50?",
    "cas.test_size=99": "cas.test_size=99 is larger than the images of 16 pixels: lower it, or give cas.test_resize",
    "cas.augment.crop_scale=[0.1,1]": "a classifier's augment has both crop_scale and pad: set one",
    "features=resnet56_cifar10 features.weights=file": "does not hold the weights of features=resnet56_cifar10",
    "data.seed=abc": "data.seed=abc is not possible: give a whole number",
    "mvtm.net.dropout=abc": "mvtm.net.dropout=abc is not possible: give a number",
    "data.size=16.0": "data.size=16.0 is not possible: give a whole number",
    "data=image_folder": "data.root is needed",
    "data=image_folder data.root=absent": "data.root=absent is not a folder",
    "data=image_folder data.root=full": "has no class folders",
    "data=imagenet data.root=full": "has no train/ and val/",
    "data=places365 data.root=full": "does not have torchvision's layout of Places365",
    "data=huggingface data.path=full": "cannot be loaded",
    "tokenizer=released256": "tokenizer.weights is needed",
    "decode.steps=null": "decode.steps is needed: name numbers of decoding steps",
    "~decode.steps": "decode.steps is needed",
    "decode.steps=[2, 4]": "if it continues after a space, remove the space, or put quotes around all of it",
    "decode.steps=[2,0]": "decode.steps=[2,0] is not possible",
    "decode.steps=8": "decode.steps takes a list: write it as decode.steps=[8]",
    "decode.temperature=1": "decode.temperature: there is no such setting (did you mean decode.choice_temperature?)",
    "+decode.temperature=1": "decode.temperature: there is no such setting of MaskGIT; it has choice_temperature, guid",
    "mvtm.net.hads=3": "mvtm.net.hads: there is no such setting (did you mean mvtm.net.heads?)",
    "n_samples=9": "n_samples: there is no such setting (did you mean eval.n_samples?)",
    "decode._target_=torch.nn.Identity": "decode._target_ does not make the required Decoder",
    "eval.batch_size=null": "eval.batch_size",
}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings(command, tmp_path, settings):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    save_file({"a": torch.zeros(1)}, tmp_path / "net.safetensors")
    expect_refused(command("train", "debug=tiny", "logger=none", *settings.split()), SETTINGS[settings])
    assert (tmp_path / "file").read_text() == "mine"
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_a_run_dir_of_a_different_run_is_left_as_it_is(command, tiny_run, tiny_cache):
    before = {p: p.read_bytes() for p in tiny_run.rglob("*") if p.is_file()}
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", f"run_dir={tiny_run}", "seed=3")
    expect_refused(said, "holds a different run (seed is 0 there and 3 here)")
    assert {p: p.read_bytes() for p in tiny_run.rglob("*") if p.is_file()} == before


def test_a_run_in_use_is_left_alone(command, tiny_run, tiny_cache, tmp_path):
    copy_of(tiny_run, tmp_path / "run")
    with FileLock(tmp_path / "run" / ".lock"):
        said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run")
    expect_refused(said, "another process is working in run")


BEGUN = ("fingerprint", "config", "command", "code", "cache", "wandb_id")  # what the record of any run has


@pytest.fixture
def spoilt(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run whose training is not recorded as done, to be spoilt by a test."""
    copy_of(tiny_run, tmp_path / "run")
    record = read_record(tmp_path / "run")
    write_record(tmp_path / "run", {key: record[key] for key in BEGUN})
    return tmp_path / "run"


def test_a_checkpoint_of_another_config_is_not_used(command, spoilt, tiny_cache):
    path = spoilt / "checkpoints" / LAST
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["maskgit_lab"]["fingerprint"] = "another"
    torch.save(checkpoint, path)
    seal(path)
    before = path.read_bytes()
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run")
    expect_refused(said, "was made with another config")
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_tokenizer_is_not_used(command, spoilt, tiny_cache):
    path = spoilt / "checkpoints" / LAST
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["maskgit_lab"]["tokens"] = "another"
    torch.save(checkpoint, path)
    seal(path)
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run")
    expect_refused(said, "was trained on codes of another tokenizer")


def test_a_checkpoint_without_its_weights_is_said_to_be(command, spoilt, tiny_cache):
    path = spoilt / "checkpoints" / LAST
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"].popitem()
    torch.save(checkpoint, path)
    seal(path)
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run")
    expect_refused(said, "belongs to another network")


def test_a_damaged_checkpoint_is_said_to_be(command, spoilt, tiny_cache):
    (spoilt / "checkpoints" / LAST).write_bytes(b"damaged")
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run")
    expect_refused(
        said, "is damaged (its checksum differs): put a copy back, or delete it and give its train.py command again"
    )


def test_a_run_of_an_earlier_version_is_said_to_be(command, spoilt, tiny_cache):
    record = {"fingerprint": "a", "wandb_id": "b", "data": {}, "done": {"mvtm": {}}}
    (spoilt / "run.json").write_text(json.dumps(record))
    for verb, settings in (("train", ["run_dir=run"]), ("evaluate", ["checkpoint=run"])):
        tiny = ["debug=tiny"] if verb == "train" else []
        said = command(verb, *tiny, "logger=none", f"cache_dir={tiny_cache}", *settings)
        expect_refused(said, "run was made by an earlier version of maskgit_lab")
    expect_refused(command("sample", "checkpoint=run", "out=samples"), "choose another run_dir")
    assert json.loads((spoilt / "run.json").read_text()) == record


SAMPLES = {
    "classes=[12]": "there is no class 12; there are the classes 0 to 9",
    "classes=[]": "name a class",
    "model=maskgit": "model: this command has no such setting: leave it out; a trained run has its own",
    "classes=3": "classes takes a list",
    "classes=[3,3]": "name every class once",
    "n=1000000000000": "give at most 1000000",
    "decode=null": "decode=null is not possible: choose one of autoregressive, digits, maskgit, random_order, or",
    "decode.choice_temperature=inf": "give a finite number",
    "clases=[3]": "did you mean classes?",
    "n=0": "n=0 is not possible",
    "decode.steps=0": "decode.steps=0 is not possible: give a whole number from 1 to 4096",
    "decode.steps=[4,8]": "decode.steps=[4,8] is not possible: give a whole number from 1 to 4096",
    "n=200000": "n=200000 of 10 classes are 2,000,000 images: give at most 1,000,000 in all",
    "tokenizer.seed=1": "tokenizer.seed: there is no such setting",
    "decode.temperature=1": "decode.temperature: there is no such setting of MaskGIT; it has choice_temperature",
    "tokenizer.weigths=x": "tokenizer.weigths: there is no such setting",
    "decode=maskgut": "did you mean maskgit?",
    "decode.schedule=cosin": "there is no such schedule",
    "checkpoint=nowhere": "nowhere contains no run",
    "out=full": "not empty",
    "out=file/x": "cannot write out=file/x",
    "accelerator=cuda:99": "is not on this machine",
}


@pytest.mark.parametrize("settings", SAMPLES, ids=str)
def test_sample_settings(command, tiny_run, tmp_path, settings):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    expect_refused(command("sample", f"checkpoint={tiny_run}", "out=samples", settings), SAMPLES[settings])
    assert not (tmp_path / "samples").exists() or not any((tmp_path / "samples").iterdir())


def test_sample_notices_a_changed_config_and_a_lost_tokenizer(command, tiny_run, tmp_path):
    copy_of(tiny_run, tmp_path / "run")
    text = (tmp_path / "run" / "config.yaml").read_text()
    for wrong, sentence in [(text.replace("width: 16", "width: 32"), "was changed"), ("trainer: 5", "was changed")]:
        (tmp_path / "run" / "config.yaml").write_text(wrong)
        expect_refused(command("sample", "checkpoint=run", "out=samples"), sentence)
    (tmp_path / "run" / "config.yaml").unlink()
    expect_refused(command("sample", "checkpoint=run", "out=samples"), "is missing or damaged")
    (tmp_path / "run" / "config.yaml").write_text(text)
    tokenizer = read_record(tmp_path / "run")["tokenizer"]
    change_record(tmp_path / "run", tokenizer=tokenizer | {"path": "cache:gone"})
    expect_refused(command("sample", "checkpoint=run", "out=samples"), "the tokenizer's file")


def test_settings_that_wandb_does_not_take(command, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    expect_refused(command("train", "debug=tiny", "logger.project=a/b"), "W&B cannot start (Invalid project name")


def test_sample_needs_a_checkpoint(command):
    expect_refused(command("sample", "out=samples"), "checkpoint is needed")


def test_sample_needs_a_trained_run(command, spoilt):
    expect_refused(command("sample", "checkpoint=run", "out=samples"), "not trained to its end")
