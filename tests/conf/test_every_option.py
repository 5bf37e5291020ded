"""Every option of every config group composes, fits the schema, and builds what it names."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from maskgit_lab.commands.checks import check_evaluate, check_sample, check_train
from maskgit_lab.commands.job import as_object, build
from maskgit_lab.commands.modelling import build_transformer
from maskgit_lab.commands.rehearsal import rehearse
from maskgit_lab.commands.resolving import resolved
from omegaconf import DictConfig, OmegaConf

from maskgit_lab import config
from maskgit_lab.commands import rehearsal
from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.settings import Hardware, Optim, TokenizerLosses

ROOT = Path(__file__).resolve().parents[2]
NAMES = {file.stem for file in (ROOT / "conf" / "schedule").glob("*.yaml")}
OPTIONS = sorted(
    f"{file.parent.name}={file.stem}" for file in (ROOT / "conf").glob("*/*.yaml") if not file.stem.startswith("_")
)


def composed(*overrides: str, verb: str = "train") -> DictConfig:
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose(verb, overrides=list(overrides))
    for key in OmegaConf.missing_keys(cfg):  # what only a user can know: where files lie
        OmegaConf.update(cfg, key, "somewhere")
    return config.checked(cfg, config.SCHEMAS[verb])


def images_of(cfg: DictConfig) -> ImageData:
    """As many images, of the config's size, as any option needs; none of them is looked at."""
    items = InMemory(torch.zeros(1, 3, 1, 1).expand(200, -1, -1, -1), torch.arange(200) % 10)
    return ImageData("any", items, items, [str(i) for i in range(10)], cfg.data.size, "fingerprint")


@pytest.mark.parametrize("option", OPTIONS)
def test_option(option, monkeypatch):
    cfg = composed(option)
    check_train(cfg)
    for check in ("_check_files", "check_fits"):  # the paths are made up
        monkeypatch.setattr(rehearsal, check, lambda *arguments: None)
    data = images_of(cfg)
    rehearse(cfg, data)
    with torch.device("meta"):
        assert build(cfg.tokenizer.discriminator, "discriminator", Discriminator, image_size=data.size)
    assert build(cfg.schedule, "schedule", Schedule).name in NAMES
    assert as_object(cfg.trainer, Hardware).save_every_epochs >= 1
    assert as_object(cfg.mvtm.optim, Optim).epochs >= 1
    assert as_object(cfg.tokenizer.losses, TokenizerLosses).pixel > 0


@pytest.mark.parametrize("file", sorted((ROOT / "conf" / "schedule").glob("*.yaml")), ids=lambda f: f.stem)
def test_a_schedules_file_has_the_schedules_name(file):
    assert build(composed(f"schedule={file.stem}").schedule, "schedule", Schedule).name == file.stem


@pytest.mark.parametrize("file", sorted((ROOT / "conf" / "experiment").glob("*.yaml")), ids=lambda f: f.stem)
def test_an_experiment_opens_with_its_command_its_cost_and_its_number(file):
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert [line.split(":")[0] for line in lines[1:4]] == ["# Command", "# Cost", "# Number"]
    assert composed(f"experiment={file.stem}").name == file.stem


def test_the_default_is_the_papers_schedule_for_training_and_decoding():
    cfg = composed()
    assert build(cfg.schedule, "schedule", Schedule).name == "cosine" and cfg.decode.schedule is None
    assert cfg.decode.choice_temperature == 4.5 and cfg.mvtm.label_smoothing == 0.1


def test_what_only_says_where_a_run_lives_does_not_change_its_name():
    same = composed("run_dir=/x", "cache_dir=/y", "stage=mvtm", "logger=none", "trainer=cpu")
    assert config.run_fingerprint(same) == config.run_fingerprint(composed())
    assert config.run_fingerprint(composed("schedule=cosine")) == config.run_fingerprint(composed())
    assert config.run_fingerprint(composed("seed=1")) != config.run_fingerprint(composed())


def test_export():
    assert composed(verb="export").checkpoint == "somewhere"


def test_the_papers_networks_have_the_papers_sizes():
    cfg = composed("experiment=imagenet256", "mvtm=released", "tokenizer=released256")
    data = replace(images_of(cfg), class_names=[str(i) for i in range(1000)])
    with torch.device("meta"):
        nets = build_transformer(cfg, data), build(cfg.tokenizer.net, "tokenizer.net", VQGAN)
    assert [sum(p.numel() for p in net.parameters()) for net in nets] == [172_457_193, 54_515_587]
    assert cfg.mvtm.net.heads == 16 and composed("experiment=imagenet256").mvtm.net.heads == 8
    assert build_transformer(composed("experiment=imagenet512"), replace(data, size=512)).n_tokens == 1024


def test_options_beyond_the_paper_are_off():
    for experiment in ("imagenet256", "imagenet512", "places2"):
        mvtm = composed(f"experiment={experiment}").mvtm
        assert (mvtm.min_masking_rate, mvtm.loss_on, mvtm.label_dropout, mvtm.optim.ema_decay) == (0, "masked", 0, 0)
    assert composed("experiment=places2").mvtm.optim.epochs == 200


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.split("=")[0] in ("data", "features", "classifier", "cas")])
def test_evaluate_takes_the_options_too(option):
    cfg = composed("checkpoint=x", option, verb="evaluate")
    check_evaluate(cfg)
    group = option.split("=")[0]
    run = composed("trainer.precision=bf16-mixed")
    whole = resolved(cfg, run)
    assert whole[group] == cfg[group] and whole.eval.steps == run.eval.steps and whole.mvtm == run.mvtm
    assert whole.eval.batch_size is None and whole.trainer.precision == run.trainer.precision


def test_evaluate_goes_over_the_runs_settings_where_it_says_so():
    cfg = composed("checkpoint=x", "decode.steps=[3]", "n_samples=7", "splits=2", "seed=4", verb="evaluate")
    whole = resolved(cfg, composed("decode.schedule=linear", "eval.neighbours=5"))
    assert (whole.eval.steps, whole.eval.n_samples, whole.eval.splits, whole.seed) == ([3], 7, 2, 4)
    assert (whole.decode.schedule, whole.eval.neighbours, whole.decode.choice_temperature) == ("linear", 5, 4.5)


def test_sample():
    cfg = composed("checkpoint=x", "out=y", verb="sample")
    check_sample(cfg)
    assert cfg.n == 16 and cfg.decode.steps == 8


def test_report():
    cfg = composed(verb="report")
    assert (cfg.runs, cfg.bootstrap, cfg.wandb.report) == ("somewhere", 2000, False)
