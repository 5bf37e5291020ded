"""What Hydra would accept and a command would ignore is refused, with the name of what works instead."""

import pytest

from maskgit_lab import config
from maskgit_lab.errors import UserError
from maskgit_lab.launch import arguments, program
from maskgit_lab.launch.extras import Extra
from maskgit_lab.launch.sentences import sentence
from refusals import expect_refused

REFUSED = {
    "hydra.run.dir=x": "give run_dir=FOLDER",
    "hydra.job.chdir=true": "commands stay in the folder in which they are started",
    "hydra.job.num=3": "only hydra.launcher, hydra.sweeper and hydra.sweep.dir have one",
    "hydra.output_subdir=x": "a run's settings are in its config.yaml",
    "hydra.verbose=true": "HYDRA_FULL_ERROR=1",
    "hydra.sweep.subdir=x": "hydra.sweep.dir",
    "+hydra.job.env_set.A=1": "of Hydra's own settings",
    "hydra.searchpath=[nowhere]": "hydra.searchpath=[nowhere] is not possible: there is no folder nowhere",
    "hydra.searchpath=[pkg://a,file:///no/where]": "there is no folder /no/where",
    "hydra/launcher=joblib": "hydra.launcher.n_jobs=N runs N jobs at once",
    "hydra/launcher=basic": "each has a process of its own",
    "hydra/sweeper=basic": "the default does the same",
    "schedule=/etc/passwd": "schedule=/etc/passwd: there is no such option; choose one of arccos, ",
    "schedule=../data/digits": "schedule=../data/digits: there is no such option",
    "sweeps=wandb/nosuch": "sweeps=wandb/nosuch: there is no such option; choose one of best_temperature, ",
    "sweeps=3": "sweeps=3: there is no such option; choose one of best_temperature, ",
    "~decode": "~decode is not possible: choose one of autoregressive, digits, maskgit",
    "model=[maskgit,autoregressive]": "chooses several of one group: choose one of autoregressive, maskgit",
    "~decode=maskgit": "~decode=maskgit is not possible",
    "~eval": "choose one of cifar10, digits, imagenet",
    "~mvtm": "choose one of base, cifar10, digits, released",
    "~seed": "~seed is not possible, since every setting has a value: give seed=VALUE",
    "~mvtm.optim": "give mvtm.optim=VALUE",
    "~absent": "~absent: there is no such setting: leave it out",
    "logger=null": "choose one of ",
    "seed.x=1": "seed has no settings of its own: give seed=VALUE",
    f"decode.steps=[{'2,' * 10_000}2]": "... has 20,016 characters: give at most 5,000",
    "seed=1,2": "seed=1,2 is several values: give -m before it",
    "schedule=glob(*)": "give -m before it",
    "seed=range(0,3)": "give -m before it",
}
# By the names that users of Lightning and its templates know.
RENAMED = {
    "max_epochs": "mvtm.optim.epochs or tokenizer.optim.epochs",
    "trainer.max_epochs": "mvtm.optim.epochs",
    "lr": "mvtm.optim.lr",
    "batch_size": "mvtm.optim.batch_size",
    "optimizer": "mvtm.optim.optimizer",
    "trainer.gpus": "trainer.devices",
    "datamodule": "data=NAME",
    "hparams_search": "-m hydra/sweeper=optuna",
    "tags": "logger.tags",
    "task_name": "name",
    "test": "evaluate.py",
    "train": "stage=",
    "paths": "run_dir",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_what_works_instead_is_named(command, monkeypatch, argument):
    monkeypatch.setattr("maskgit_lab.launch.cli.import_module", None)  # the answer comes before torch is imported
    expect_refused(command("train", argument), REFUSED[argument])


@pytest.mark.parametrize("key", RENAMED)
def test_names_from_elsewhere(key):
    error = UserError(f"{key}: there is no such setting")
    said = sentence(error, config.SCHEMAS["train"], "`python train.py --help`")
    assert said.startswith(f"{key}: there is no such setting; instead give {RENAMED[key]}")


@pytest.mark.parametrize("argument", ["max_epochs=5", "+trainer.max_epochs=5"])
def test_names_from_elsewhere_on_a_command_line(command, argument):
    expect_refused(command("train", argument), " give mvtm.optim.epochs or tokenizer.optim.epochs")


@pytest.mark.parametrize(
    ("verb", "argument", "says"),
    [
        ("evaluate", "hydra.run.dir=x", "give out=FOLDER"),
        ("clean", "hydra.run.dir=x", "give runs=[FOLDER]"),
        ("evaluate", "data=null", "or leave it out for the run's own"),
        ("evaluate", "devices=2", "instead give trainer.devices"),
        ("sample", "trainer.devices=2", "instead give accelerator for the one device that this command runs on"),
        ("sample", "lr=1", "lr: there is no such setting; `python sample.py --help`"),
    ],
)
def test_other_commands_have_answers_of_their_own(command, verb, argument, says):
    expect_refused(command(verb, argument), says)


def test_a_plugin_that_is_not_installed(command, monkeypatch):
    monkeypatch.setitem(arguments.OPTIONS, "hydra/sweeper", {"optuna": Extra("optuna", "no_such_module")})
    expect_refused(command("train", "-m", "hydra/sweeper=optuna"), "give uv pip install '.[optuna]' in the checkout")


@pytest.mark.parametrize("argument", ["cas=null", "~cas"])
def test_a_command_may_be_without_some_groups(command, argument):
    said = command("train", argument, "--cfg", "job")
    assert said.code == 0 and "\ncas: null\n" in said.out


def test_completion_shows_what_users_may_choose(command, monkeypatch):
    def words(line):
        monkeypatch.setenv("COMP_LINE", line)
        said = command("train", "-sc", "query=bash")
        assert said.code == 0
        return said.out.split()

    assert words("python train.py schedule=c") == ["schedule=cosine", "schedule=cubic"]
    assert "tokenizer=vqgan_f16" in words("python train.py tokenizer=")
    assert not any("=_" in word for word in words("python train.py tokenizer="))
    assert words("python train.py hydra/launcher=") == ["hydra/launcher=local", "hydra/launcher=slurm"]
    assert "mvtm.optim.lr=" in words("python train.py mvtm.optim.")


@pytest.mark.parametrize("arguments", ["-sc", "-sc install=nosuch", "-sc query=bash"])
def test_completion_needs_a_shell(command, monkeypatch, arguments):
    monkeypatch.delenv("COMP_LINE", raising=False)
    expect_refused(command("train", *arguments.split()), "give -sc install=bash")


def test_completion_of_the_console_command(capsys, monkeypatch):
    def words(line):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setattr("sys.argv", ["maskgit-lab", "-sc", "query=bash"])
        program.main()
        return capsys.readouterr().out.split()

    assert words("maskgit-lab e") == ["evaluate", "edit", "export"]
    assert words("maskgit-lab train schedule=c") == ["schedule=cosine", "schedule=cubic"]
    assert "checkpoint=" in words("maskgit-lab sample ") and not words("maskgit-lab tidy schedule=")


def test_the_code_of_the_suite_is_not_taken_for_a_users_own(command):
    said = command("train", "-m", "experiment=digits,nope")
    expect_refused(said, "experiment=nope: there is no such option; choose one of cifar10, ")
    assert ".py" not in said.err


def test_the_switch_of_a_sweep_may_come_after_settings(command):
    said = command("train", "debug=tiny", "-m", "schedule=cosin,linear")
    assert said.code == 2 and said.err.startswith("error: schedule=cosin: there is no such option")
