"""Every option of every config group composes, fits the schema, and builds what it names."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import nn

from maskgit_lab import config
from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.evaluation import asked
from maskgit_lab.fingerprints import file_sha256, flatten
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.objects import build
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import CONFIG
from maskgit_lab.runs.naming import data_name
from maskgit_lab.runs.record import Record
from maskgit_lab.sampling.loading import decoder_of
from maskgit_lab.sampling.tokenizers import build_vqgan
from maskgit_lab.sampling.transformers import build_schedule, build_transformer
from maskgit_lab.settings import TrainConf, checked, evaluation_fingerprint, of_today, plain, run_fingerprint
from maskgit_lab.settings.groups import ClassifierConf
from maskgit_lab.stages import preflight

ROOT = Path(__file__).resolve().parents[2]
NAMES = {file.stem for file in (ROOT / "conf" / "schedule").glob("*.yaml")}
OPTIONS = sorted(
    f"{file.parent.relative_to(ROOT / 'conf')}={file.stem}"
    for pattern in ("*/*.yaml", "tokenizer/*/*.yaml")
    for file in (ROOT / "conf").glob(pattern)
    if not file.stem.startswith("_")
)


@pytest.fixture(scope="module", autouse=True)
def conf():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def composed(*overrides: str, verb: str = "train") -> Any:
    cfg = compose(verb, overrides=list(overrides))
    for key in OmegaConf.missing_keys(cfg):  # what only a user can know: where files lie
        OmegaConf.update(cfg, key, "somewhere")
    return config.typed(cfg, config.SCHEMAS[verb])


def images_of(settings: TrainConf) -> ImageData:
    """As many images, of the config's size, as any option needs; none of them is looked at."""
    items = InMemory(torch.zeros(1, 3, 1, 1).expand(200, -1, -1, -1), torch.arange(200) % 10)
    return ImageData("any", items, items, [str(i) for i in range(10)], settings.data["size"], "fingerprint")


# Options that belong to the other model than the default.
OWN_MODEL = {
    option: ["model=autoregressive"] for option in OPTIONS if option.split("=")[0] in ("order", "autoregressive")
}
OWN_MODEL["decode=autoregressive"] = ["model=autoregressive"]


@pytest.mark.parametrize("option", OPTIONS)
def test_option(option, monkeypatch):
    settings = composed(option, *OWN_MODEL.get(option, ()))
    for check in ("_check_files", "check_fits"):  # the paths are made up
        monkeypatch.setattr(preflight, check, lambda *arguments: None)
    data = images_of(settings)
    preflight.preflight(settings, data)
    with torch.device("meta"):
        discriminator = build(settings.tokenizer.discriminator, "discriminator", nn.Module, image_size=data.size)
    assert isinstance(discriminator, Discriminator)
    assert build_schedule(settings).name in NAMES
    assert settings.trainer.save_every_epochs >= 1
    assert settings.mvtm.optim.epochs >= 1
    assert settings.tokenizer.losses.pixel > 0


@pytest.mark.parametrize("file", sorted((ROOT / "conf" / "schedule").glob("*.yaml")), ids=lambda f: f.stem)
def test_a_schedules_file_has_the_schedules_name(file):
    assert build_schedule(composed(f"schedule={file.stem}")).name == file.stem


@pytest.mark.parametrize("file", sorted((ROOT / "conf" / "experiment").glob("*.yaml")), ids=lambda f: f.stem)
def test_an_experiment_opens_with_its_command_its_cost_and_its_number(file):
    lines = file.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert [line.split(":")[0] for line in lines[1:4]] == ["# Command", "# Cost", "# Number"]
    data = composed(f"experiment={file.stem}").data
    assert data_name(data) in ("digits", "cifar10", "imagenet", "places365")


def test_the_default_is_the_papers_schedule_for_training_and_decoding():
    settings = composed("decode=maskgit")
    decoder, schedule = decoder_of(settings)
    assert schedule.name == "cosine" and settings.decode["schedule"] is None
    assert decoder.settings | {"steps": 1} == {
        **{"decoder": "maskgit", "decode_schedule": "cosine", "steps": 1},
        **{"choice_temperature": 4.5, "guidance": 0.0},
    }
    assert settings.mvtm.label_smoothing == 0.1


def test_what_only_says_where_a_run_lives_does_not_change_its_name():
    same = composed("run_dir=/x", "cache_dir=/y", "stage=mvtm", "logger=none", "trainer=cpu", "wait=true", "name=a")
    assert run_fingerprint(same) == run_fingerprint(composed())
    measured = composed("decode.steps=[3]", "eval.splits=2", "features=vgg16", "cas.seed=4", "classifier.seed=4")
    assert run_fingerprint(measured) == run_fingerprint(composed())
    assert evaluation_fingerprint(measured) != evaluation_fingerprint(composed())
    assert run_fingerprint(composed("schedule=cosine")) == run_fingerprint(composed())
    assert run_fingerprint(composed("seed=1")) != run_fingerprint(composed())
    assert run_fingerprint(composed("trainer.precision=bf16-mixed")) != run_fingerprint(composed())


def test_t_has_two_names():
    assert composed("eval.steps=[3,5]") == composed("decode.steps=[3,5]")
    assert composed("eval.steps=[3,5]").steps == [3, 5]


def test_export():
    assert composed(verb="export").checkpoint == "somewhere"


def test_the_papers_networks_have_the_papers_sizes():
    settings = composed("experiment=imagenet256", "mvtm=released", "tokenizer=released256")
    larger = composed("experiment=imagenet512")
    with torch.device("meta"):
        nets = build_transformer(settings, 256, 1000), build_vqgan(settings.tokenizer)
        assert build_transformer(larger, 512, 1000).n_tokens == 1024
    assert [sum(p.numel() for p in net.parameters()) for net in nets] == [172_457_193, 54_515_587]
    assert settings.mvtm.net["heads"] == 16 and larger.mvtm.net["heads"] == 8
    assert composed("experiment=imagenet256").mvtm.net["heads"] == 8


def test_options_beyond_the_paper_are_off():
    for experiment in ("imagenet256", "imagenet512", "places2"):
        settings = composed(f"experiment={experiment}")
        mvtm = settings.mvtm
        assert (mvtm.min_masking_rate, mvtm.loss_on, mvtm.label_dropout) == (0, "masked", 0)
        assert mvtm.optim.ema_decay == 0.999  # the release's base config
        assert settings.decode["guidance"] == 0
    assert settings.mvtm.optim.epochs == 200  # places2
    assert (settings.data["crop_scale"], settings.data["flip"], settings.tokens.views) == (None, False, None)


def test_imagenet_is_measured_as_in_table_1_and_adms_settings_have_a_name():
    keys = ("n_samples", "repeats", "precision_features", "neighbours", "splits", "reference")
    for experiment in ("imagenet256", "imagenet512", "places2"):
        settings = composed(f"experiment={experiment}").eval
        assert [getattr(settings, key) for key in keys] == [50_000, 3, "vgg16", 3, 1, "train"]
    adm = composed("experiment=imagenet256", "eval=imagenet_adm").eval
    assert [getattr(adm, key) for key in keys] == [50_000, 1, None, 3, 10, "VIRTUAL_imagenet256_labeled.npz"]
    assert {"precision_recall", "nll_bound", "runtime"} < {*adm.metrics}
    assert composed().eval.repeats == 1


@pytest.fixture
def run_of(tmp_path):
    """The folder of a run that has just begun with these settings."""

    def made(settings: TrainConf) -> RunFolder:
        (tmp_path / CONFIG).write_text(yaml.safe_dump(plain(settings)))
        own = {"config": file_sha256(tmp_path / CONFIG), "command": [], "code": "x", "cache": "cache", "wandb_id": "id"}
        Record(fingerprint=run_fingerprint(settings), **own).write(tmp_path)
        return RunFolder(tmp_path)

    return made


EVALUATED = [o for o in OPTIONS if o.split("=")[0] in ("data", "decode", "features", "classifier", "cas", "eval")]


@pytest.mark.parametrize("option", EVALUATED)
def test_evaluate_takes_the_options_too(option, run_of):
    settings = composed("checkpoint=x", option, verb="evaluate")
    asked.check_arguments(settings)
    group = option.split("=")[0]
    run = composed("trainer.precision=bf16-mixed", *OWN_MODEL.get(option, ()))
    whole = asked.settings_of(settings, run_of(run))
    given, found = getattr(settings, group), plain(whole)[group]
    if group in ("data", "decode", "features"):
        assert found == given
    elif group == "eval":
        assert found == plain(run)["eval"] | given
    else:
        assert found == plain(checked(ClassifierConf, given))
    assert group == "decode" or whole.steps == run.steps
    assert whole.mvtm == run.mvtm and whole.eval.batch_size == 128
    assert whole.trainer.precision == run.trainer.precision


def test_evaluate_goes_over_the_runs_settings_where_it_says_so(run_of):
    given = ["decode.steps=[3]", "eval.n_samples=7", "eval.splits=2", "seed=4"]
    settings = composed("checkpoint=x", *(f"+{g}" if "." in g else g for g in given), verb="evaluate")
    assert flatten(plain(settings)) == flatten(plain(composed("checkpoint=x", *given, verb="evaluate")))
    run = composed("decode.schedule=linear", "decode.choice_temperature=4.5", "eval.neighbours=5")
    whole = asked.settings_of(settings, run_of(run))
    assert (whole.steps, whole.eval.n_samples, whole.eval.splits, whole.seed) == ([3], 7, 2, 4)
    decode = whole.decode
    assert (decode["schedule"], whole.eval.neighbours, decode["choice_temperature"]) == ("linear", 5, 4.5)


def test_sample():
    settings = composed("checkpoint=x", "out=y", verb="sample")
    assert settings.n == 16 and settings.decode["steps"] is None  # 8, of a model that decodes in T steps


def test_report():
    settings = composed(verb="report")
    assert (settings.runs, settings.bootstrap, settings.wandb.report) == ("somewhere", 2000, False)


def test_the_releases_configs_train_as_long_as_they_say():
    released, paper = composed("experiment=imagenet256", "mvtm=released"), composed("experiment=imagenet256")
    images, batch = 1_281_167, released.tokenizer.optim.batch_size
    steps = [math.ceil(images / batch) * conf.optim.epochs for conf in (released.tokenizer, released.mvtm)]
    assert steps == pytest.approx([1_000_000, 2_000_000], rel=2e-3)
    assert (released.tokenizer.optim.warmup_steps, released.mvtm.optim.warmup_steps) == (2000, 5000)
    assert paper.mvtm.optim.epochs == 300
    assert composed("experiment=places2").tokenizer.optim.max_steps == 1_000_000


def test_a_perceptual_loss_brings_its_own_weight():
    for option, weight in {"resnet50": 0.1, "lpips": 1.0, "none": 0.0}.items():
        conf = composed("tokenizer=vqgan_f16", f"tokenizer/perceptual={option}").tokenizer
        assert conf.losses.perceptual == weight and (conf.own_perceptual is None) == (option == "none")
    assert composed("experiment=imagenet256").tokenizer.losses.perceptual == 0.1
    given = ["tokenizer.losses.perceptual=0.5", "tokenizer.perceptual_weights=file"]
    conf = composed("tokenizer/perceptual=lpips", *given).tokenizer
    assert conf.losses.perceptual == 0.5 and conf.perceptual["weights"] == "file"


def test_settings_of_earlier_versions_have_a_perceptual_loss_by_name():
    values = plain(composed())
    for name, weight in {"none": 0.0, "vgg16": 0.1}.items():
        values["tokenizer"] |= {"perceptual": name, "losses": {"perceptual": 0.1}}
        conf = checked(TrainConf, of_today(values)).tokenizer
        assert conf.losses.perceptual == weight and (conf.own_perceptual is None) == (name == "none")
