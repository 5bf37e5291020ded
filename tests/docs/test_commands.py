"""Every command line in README.md and docs/ is run, at the size of a dry run.

A command of the suite goes the whole way from its command line to its settings, plugins and sweeps included, and the
objects that they name are built or found; the work itself is left out, but for the quick ones, which are done.
"""

import argparse
import itertools
import logging
import runpy
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image

from documented import PAGES, ROOT, TESTED_ELSEWHERE, lines_of
from maskgit_lab import config, usage
from maskgit_lab.code import targets_in
from maskgit_lab.commands import evaluate
from maskgit_lab.evaluation import chosen
from maskgit_lab.launch import arguments as arguments_of
from maskgit_lab.launch import sweeps
from maskgit_lab.launch.local import LocalJobs
from maskgit_lab.objects import locate
from maskgit_lab.sampling.loading import decoder_of
from maskgit_lab.sampling.tokenizers import build_vqgan
from maskgit_lab.sampling.transformers import build_transformer
from maskgit_lab.settings import EvaluateConf, TrainConf, plain

LINES = [line for page in PAGES for line in lines_of(page)]
UNIQUE = {line.words: line for line in LINES if line.page not in TESTED_ELSEWHERE}
ANSWERED = ("--help", "--cfg", "--info", "-sc")  # by Hydra, without any work
SWEPT = ("-m", "--multirun", "sweeps=")
QUICK = ("sample", "export", "edit")  # done in full, on the tiny run, where they are small
FEW = ("classes=[3,7]", "out=exported", "image=samples")
STARTS = ("python", "torchrun", "srun", "/usr/bin/time", "maskgit-lab")  # words that start a Python script
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


class Parsed(Exception):
    """The arguments of a program are valid."""


@pytest.fixture(autouse=True)
def _logging():
    """Forgets the handlers that Hydra leaves after `--info`."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def place(tiny_run, tiny_autoregressive, tmp_path, monkeypatch):
    """A working folder, and what the placeholders of the docs stand for."""
    monkeypatch.chdir(tmp_path)
    pictures, run = tmp_path / "pictures", tiny_run.resolve()
    pictures.mkdir()
    names = {"FOLDER_OR_NPZ": pictures, "FOLDER": pictures, "IMAGENET": pictures, "RUN_DIR": run, "FILE": "weights.pth"}
    runs = dict.fromkeys(("outputs/digits/default", "outputs/digits/schedule_cosine"), run)
    runs["outputs/digits/model_autoregressive"] = tiny_autoregressive.resolve()
    return {**runs, **names, "sweep.runs=outputs/digits": f"sweep.runs={run.parent}", "DIR": "exported", "=N": "=500"}


@pytest.fixture
def jobs(monkeypatch):
    """The jobs that a sweep would launch: of each, the first alone is composed."""
    seen = []
    first = SimpleNamespace(product=lambda *choices: [next(itertools.product(*choices))])
    monkeypatch.setattr(sweeps, "itertools", first)
    monkeypatch.setattr(sweeps.Sweep, "_launch", lambda self, todo, launch: seen.extend(todo) or [None for _ in todo])

    monkeypatch.setattr(chosen, "chosen_for", lambda folder: 2.0)

    # The trials of a search.
    monkeypatch.setattr(LocalJobs, "run", lambda self, todo: seen.extend(todo) or [None for _ in todo])
    monkeypatch.setattr(LocalJobs, "value", lambda self, overrides: 1.0)
    return seen


def filled(words, place) -> list[str]:
    """A command line with the placeholders replaced."""
    for name, value in place.items():
        words = [word.replace(name, str(value)) if name in word else word for word in words]
    return list(words)


def script_of(words) -> tuple[str, list[str]]:
    """The program that a line starts in the end, and its arguments."""
    if words[0] == "maskgit-lab":
        return f"{words[1]}.py", list(words[2:])
    at = next(i for i, word in enumerate(words) if word.endswith(".py"))
    return words[at], list(words[at + 1 :])


def check_settings(settings) -> None:
    """Raises a `UserError` for settings whose objects cannot be built."""
    for target in targets_in(plain(settings)):
        locate(target, "_target_")
    if isinstance(settings, EvaluateConf):
        evaluate.check(settings)
    if isinstance(settings, TrainConf):
        decoder_of(settings)
        with torch.device("meta"):
            build_vqgan(settings.tokenizer)
            build_transformer(settings, settings.data["size"], n_classes=10)


def settings_of(verb, arguments):
    """The settings of a command."""
    conf = usage.configs() / "conf"
    overrides = arguments_of.checked(arguments, verb, conf)
    with initialize_config_dir(str(conf), version_base="1.3"):
        return config.typed(compose(verb, overrides=overrides), config.SCHEMAS[verb])


def run_verb(verb, arguments, command, jobs) -> None:
    """Runs a command of the suite, in full if it is quick, or as far as its settings."""
    answered = any(argument.startswith(ANSWERED) for argument in arguments)
    swept = any(argument.startswith(SWEPT) for argument in arguments)
    if answered or swept or (verb in QUICK and any(argument.startswith(FEW) for argument in arguments)):
        one = ["hydra.sweeper.n_trials=1"] if "hydra/sweeper=optuna" in arguments else []
        done = command(verb, *arguments, *one)
        assert done.code == 0 and done.out and bool(jobs) == swept, done.err
    else:
        check_settings(settings_of(verb, arguments))


def run_importer(module, arguments, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    file = find_spec(module).origin
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(file, run_name="__main__")
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.startswith("error: ") and arguments[1] in said, said  # there is no such file


def run_benchmark(script, arguments, command, jobs, monkeypatch) -> None:
    if any("=" in argument for argument in arguments):
        assert "KEY=VALUE" in (ROOT / script).read_text()
        return run_verb("evaluate", arguments, command, jobs)
    parse = argparse.ArgumentParser.parse_known_args

    def stop(self, *given):
        assert not parse(self, *given)[1]
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", stop)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    made = runpy.run_path(str(ROOT / script))
    if "argparse" not in made:
        assert not arguments and callable(made["main"])
        return None
    with pytest.raises(Parsed):
        made["main"]()
    return None


def run_shell(words) -> None:
    """Runs, or checks, a command of other programs."""
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[:3] == ["uv", "pip", "install"]:
        extra = words[3].removeprefix(".").strip("[]")
        assert words[3].startswith(".") and (not extra or extra in EXTRAS)
    elif words[:2] == ["wandb", "sweep"]:
        assert yaml.safe_load((ROOT / words[-1]).read_text())["program"]
    else:
        assert words == ["wandb", "agent", "SWEEP_ID"], f"the tests do not know how to run {' '.join(words)}"


@pytest.mark.parametrize("line", UNIQUE.values(), ids=str)
def test_command(line, place, command, jobs, monkeypatch, capsys):
    words = list(line.words)
    if words[0] == "eval":
        words = words[1].removeprefix("$(").removesuffix(")").split()
    words = filled(words[1:] if "=" in words[0] else words, place)
    if words[:2] == ["python", "-m"]:
        return run_importer(words[2], words[3:], monkeypatch, capsys)
    if words[0] not in STARTS:
        return run_shell(words)
    script, arguments = script_of(words)
    if script.startswith("benchmarks/"):
        return run_benchmark(script, arguments, command, jobs, monkeypatch)
    verb = Path(script).stem
    assert verb in config.SCHEMAS and (ROOT / script).is_file()
    if verb == "edit":
        Path("samples/4").mkdir(parents=True)
        Image.new("RGB", (16, 16), "white").save("samples/4/00001.png")
    return run_verb(verb, arguments, command, jobs)


def test_all_of_them(capsys):
    pages = {line.page for line in LINES}
    assert {"README.md", "quickstart.md", "training.md", "evaluation.md", "sweeps.md", "extending.md"} <= pages
    with capsys.disabled():
        print(f"\n{len({line.words for line in LINES})} commands in README and docs, all run")
