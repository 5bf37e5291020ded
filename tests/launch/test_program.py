"""How commands are started: `maskgit-lab VERB`, `python -m maskgit_lab VERB`, `python VERB.py`; the working folder."""

import os
import sys
from importlib import metadata

import pytest

from maskgit_lab import config, usage
from maskgit_lab.errors import UserError
from maskgit_lab.launch import children
from maskgit_lab.launch.program import main

WAYS = {
    "/bin/maskgit-lab": "maskgit-lab train",
    "lab/train.py": "python train.py",
    "maskgit_lab/__main__.py": "python -m maskgit_lab train",
}
OWN_SCHEDULE = """
from maskgit_lab.masking.schedules import Linear
class Steep(Linear):
    def __init__(self, power: float = 2.0) -> None:
        self.power = power
"""


@pytest.fixture(autouse=True)
def _started_by_nobody(monkeypatch):
    monkeypatch.delenv(usage.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def program(capsys, monkeypatch):
    """Runs the console command; returns its exit code and what it prints."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["maskgit-lab", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_verbs_are_those_that_have_a_config():
    assert sorted(usage.VERBS) == sorted(config.SCHEMAS)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_verbs(program, arguments):
    code, out, _ = program(*arguments)
    assert code == 0 and all(f"\n  {verb} " in out for verb in usage.VERBS)
    assert "Try maskgit-lab train schedule=cosine." in out


def test_a_wrong_verb_is_a_sentence(program):
    assert program("trian") == (
        2,
        "",
        "error: trian: there is no such command (did you mean train?); choose one of train, evaluate, sample, edit, "
        "report, export, clean\n",
    )
    assert program("schedule=cosine")[0] == 2
    assert program("--version")[1].strip() == f"maskgit_lab {metadata.version('maskgit_lab')}"


@pytest.mark.parametrize("program_name", WAYS)
def test_messages_name_commands_as_they_are_typed(monkeypatch, program_name):
    usage.remember(program_name)
    text = "give `python train.py a=1`; train.py has more, not runs/train.py or a.train.py"
    way = WAYS[program_name]
    assert usage.as_typed(text).startswith(f"give `{way} a=1`; ")
    assert usage.as_typed(text).endswith(" has more, not runs/train.py or a.train.py")
    usage.remember("train.py")  # a process that it starts
    assert usage.as_typed("python train.py") == way


def test_a_command_of_the_program_names_itself_in_its_errors(program):
    code, _, err = program("train", "schedul=cosine")
    assert code == 2 and "`maskgit-lab train --help`" in err


@pytest.mark.parametrize("way", ["console", "script"])
def test_configs_and_modules_of_the_working_folder_come_first(command, program, tmp_path, way):
    (tmp_path / "conf" / "schedule").mkdir(parents=True)
    (tmp_path / f"own_{way}.py").write_text(OWN_SCHEDULE)
    for name in ("mine", "linear"):
        (tmp_path / "conf" / "schedule" / f"{name}.yaml").write_text(f"_target_: own_{way}.Steep\npower: hot\n")
        arguments = ("train", f"schedule={name}", "debug=tiny", "logger=none")
        code, _, err = program(*arguments) if way == "console" else command(*arguments)
        assert code == 2 and "schedule.power=hot is not possible: give a number" in err


def test_sweeps_of_the_working_folder_are_found(command, tmp_path):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "mine.yaml").write_text("sweep: {verb: evaluate, name: mine}\nhydra: {mode: MULTIRUN}\n")
    said = command("train", "sweeps=mine")
    assert said.code == 2 and "sweeps=mine is for evaluate.py" in said.err
    (tmp_path / "sweeps" / "mine.yaml").write_text("sweep: {")
    said = command("train", "sweeps=mine")
    assert said.code == 2 and "sweeps/mine.yaml cannot be read" in said.err


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("conf/train.yaml", "lr: 0.1", "begin its defaults with base_train, or start the command in another folder"),
        ("conf/schedule/mine.yaml", "a: [", "mine.yaml, line 1, is not valid YAML (expected the node content"),
        ("conf/schedule/mine.yaml", "_target_: absent_module.Mine", "No module named 'absent_module'"),
        ("conf/schedule/mine.yaml", "_target_: own_text.Mine", "has no attribute 'Mine'"),
        (
            "conf/schedule/mine.yaml",
            "# @package hydra\nrun: 1\n",
            "puts its settings among Hydra's own (hydra): remove its",
        ),
        ("conf/schedule/mine.yaml", "# @package hydra.job\nname: a\n", "mine.yaml puts its settings among Hydra's own"),
        ("conf/schedule/mine.yaml", "- a\n- b\n", "conf/schedule/mine.yaml holds no settings: write KEY: VALUE"),
        ("conf/schedule/mine.yaml", "3\n", "conf/schedule/mine.yaml holds no settings: write KEY: VALUE"),
        (
            "conf/schedule/mine.yaml",
            b"a: \xe4\n",
            "conf/schedule/mine.yaml is not valid UTF-8 (byte 3): save it in UTF-8",
        ),
        (
            "conf/schedule/mine.yaml",
            "",
            "(it names no class): give schedule._target_=MODULE.CLASS",
        ),
        ("conf/schedule/mine.yaml", "a: \0", "conf/schedule/mine.yaml is not valid YAML (unacceptable character"),
        ("conf/schedule/mine.yaml", "defaults: [mine]", "the defaults list of a config leads back to that config"),
        (
            "conf/schedule/mine.yaml",
            "defaults: [override /nogroup: x]",
            "mine.yaml overrides a group that this",
        ),
        ("conf/schedule/other.yaml", "", "schedule=mine: there is no such option; choose one of arccos"),
        ("conf", "", "schedule=mine: there is no such option"),
        ("sweeps", "", "schedule=mine: there is no such option"),
    ],
)
def test_mistakes_in_the_working_folder_are_sentences(command, tmp_path, file, text, sentence):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "own_text.py").write_text("")
    said = command("train", "schedule=mine", "debug=tiny", "logger=none")
    assert said.code == 2 and sentence in said.err and len(said.err.splitlines()) == 1


def test_a_folder_that_is_gone_is_a_sentence(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    said = command("train")
    assert said.code == 2 and "the working folder does not exist any more" in said.err
    monkeypatch.chdir(tmp_path)


def test_processes_for_devices_need_no_script(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    with pytest.raises(UserError, match=r"of 2\) ended with exit code 2, as shown above"):
        children.run("trian", [], 2)
    assert "trian: there is no such command" in capfd.readouterr().err
