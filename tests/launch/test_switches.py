"""What begins with a dash, and settings as other programs take them: each works or gets a sentence."""

import pytest

from maskgit_lab import __version__, config
from maskgit_lab.errors import UserError
from maskgit_lab.launch.switches import apart
from maskgit_lab.launch.unknown import meant_by
from refusals import expect_refused

WORKS = {
    "seed=1 -m schedule=cosine,linear": (["--multirun"], ["seed=1", "schedule=cosine,linear"]),
    "seed=1 --cfg job schedule=linear": (["--cfg", "job"], ["seed=1", "schedule=linear"]),
    "--cfg=job --resolve": (["--cfg", "job", "--resolve"], []),
    "-c hydra -p hydra.mode": (["--cfg", "hydra", "--package", "hydra.mode"], []),
    "--info seed=1": (["--info", "all"], ["seed=1"]),
    "-i defaults": (["--info", "defaults"], []),
    "-m -m -- seed=1,2": (["--multirun"], ["seed=1,2"]),
}
REFUSED = {
    "--seed 5": "--seed: there is no such switch, since settings have no dashes before them (did you mean seed=5?)",
    "--seed=5": "(did you mean seed=5?)",
    "--seed -m": "(did you mean seed=VALUE?)",
    "--run_dir=x": "(did you mean run_dir=x?)",
    "--run-dir x": "(did you mean run_dir=x?)",
    "--lr 0.1": "(did you mean mvtm.optim.lr=0.1?)",
    "--sead=1": "(did you mean seed=1?)",
    "--hlep": "--hlep: there is no such switch (did you mean --help?); give settings as KEY=VALUE",
    "-x": "-x: there is no such switch; give settings as KEY=VALUE",
    "-": "-: there is no such switch",
    "--cfg": "--cfg is not possible: choose one of job, hydra, all",
    "--cfg jobs": "--cfg jobs is not possible: choose one of job, hydra, all",
    "--info nothing": "--info nothing is not possible: choose one of all, config",
    "--package": "--package needs a value: give it as --package VALUE",
    "--help=yes": "--help=yes is not possible: --help takes no value",
    "--cfg job -m": "--multirun and --cfg do not go together: give one of them",
    "--resolve": "--resolve belongs to --cfg: give --cfg job --resolve",
    "-cn other": "-cn is not possible: the configs of a command are fixed",
    "--config-path=x": "the configs of a command are fixed",
    "--experimental-rerun x.pickle": "run the same command again",
    "--hydra-help": "--hydra-help is not possible: --help lists what there is, and --cfg hydra",
}


def meant(name):
    return meant_by(name, config.SCHEMAS["train"])


@pytest.mark.parametrize("line", WORKS)
def test_switches_and_settings_come_in_any_order(line):
    assert apart(line.split(), meant) == WORKS[line]


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_none_gets_a_sentence(line):
    with pytest.raises(UserError) as caught:
        apart(line.split(), meant)
    assert REFUSED[line] in str(caught.value) and "\n" not in str(caught.value)


def test_a_command_says_them(command):
    expect_refused(command("train", "--schedule", "linear"), "(did you mean schedule=linear?)")
    expect_refused(command("sample", "--checkpoint", "a"), "(did you mean checkpoint=a?)")
    expect_refused(command("train", "--config-dir", "absent"), "/absent: give another")
    expect_refused(command("train", "--package", "x", "--cfg", "job"), "--package x: the config has no such part")
    assert command("train", "--version").out == f"maskgit_lab {__version__}\n"
