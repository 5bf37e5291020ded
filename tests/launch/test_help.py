"""`--help` fits on a screen, and Hydra's other ways to look at a config work for every command."""

import logging
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from maskgit_lab import config
from maskgit_lab.launch.help import SETTING, WIDTH, allowed

CONF = Path(__file__).resolve().parents[2] / "conf"
SCREEN = 58  # lines


@pytest.fixture(autouse=True)
def _logging_as_before():
    """Hydra's `--info` writes its answers to a log, which it would go on with in other tests."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.parametrize("verb", config.SCHEMAS)
def test_help_is_one_screen(command, verb):
    said = command(verb, "--help")
    lines = said.out.splitlines()
    assert said.code == 0 and not said.err
    assert len(lines) <= SCREEN and max(map(len, lines)) <= WIDTH
    assert "$" not in said.out.replace("$(python", "") and "_f16," not in said.out.replace("vqgan_f16,", "")
    assert f"python {verb}.py" in said.out and "--cfg job" in lines[-2]


def test_help_shows_what_settings_and_groups_may_be(command):
    said = command("train", "--help").out
    assert " where to stop (tokenizer, tokens, mvtm, autoregressive, all)" in said
    assert " a positive number\n" in said and " 32-true, 16-mixed, bf16-mixed\n" in said
    assert "schedule=cosine            arccos, cosine, cubic, exponential, linear," in said
    assert "tokenizer/perceptual=none  lpips, none, resnet50\n" in said
    assert "hydra/launcher=local       local, slurm" in said and "hydra/sweeper=jobs         jobs, optuna" in said


def test_help_shows_the_values_that_other_arguments_give(command):
    said = command("train", "-h", "-m", "schedule=linear", "mvtm.optim.lr=0.5").out
    assert "schedule=linear " in said and "mvtm.optim.lr=0.5 " in said


def test_a_mistake_beside_help_is_a_sentence(command):
    assert command("train", "--help", "schedule=cosin").code == 2


@pytest.mark.parametrize("verb", config.SCHEMAS)
def test_help_names_settings_that_exist(verb):
    text = yaml.safe_load((CONF / f"{verb}.yaml").read_text())["hydra"]["help"]["template"]
    named = [found["key"] for line in text.splitlines() if (found := SETTING.fullmatch(line))]
    known = config.schema_keys(config.SCHEMAS[verb])
    of_decoder = {f"decode.{name}" for name in ("steps", "schedule", "choice_temperature", "guidance")}
    assert named and set(named) <= {*known, *of_decoder}


def test_what_a_setting_may_be_is_read_from_its_annotation():
    train = config.SCHEMAS["train"]
    assert allowed(train, "trainer.accelerator") == "auto, cpu, gpu, cuda, mps"
    assert allowed(train, "max_images") == "a whole number of at least 2 or null"
    assert allowed(train, "rerun") == "true or false"
    assert allowed(train, "absent.key") == allowed(train, "data.size") == ""
    assert allowed(config.SCHEMAS["evaluate"], "eval.neighbours") == "a whole number of at least 1"


@pytest.mark.parametrize("verb", config.SCHEMAS)
def test_every_config_can_be_looked_at(command, caplog, verb):
    job = command(verb, "--cfg", "job")
    assert job.code == 0 and yaml.safe_load(job.out).keys() == {field.name for field in fields(config.SCHEMAS[verb])}
    defaults = command(verb, "--info", "defaults")
    assert defaults.code == 0 and f"| base_{verb}" in defaults.out + caplog.text


@pytest.mark.parametrize(
    ("flags", "shows"),
    [
        (["-c", "job", "--resolve"], "seed: 0"),
        (["--cfg", "hydra", "--package", "hydra.job"], "name: train"),
        (["--info", "all"], "Config search path"),
    ],
)
def test_other_ways_to_look_at_a_config(command, caplog, flags, shows):
    said = command("train", *flags)
    assert said.code == 0 and shows in said.out + caplog.text
