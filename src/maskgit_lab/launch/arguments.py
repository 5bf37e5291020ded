"""What is checked of a command line before Hydra reads it: what Hydra would accept and these commands would ignore."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from maskgit_lab import config
from maskgit_lab.errors import UserError
from maskgit_lab.launch.extras import OPTIONS

OVERRIDE = re.compile(r"(?P<sign>\+{0,2}|~)(?P<key>[\w./@:]+)(?:=(?P<value>.*))?", re.DOTALL)
# Hydra's own settings that these commands heed.
HEEDED = re.compile(
    r"hydra(\.(launcher|sweeper|callbacks|job_logging|hydra_logging)(\..+)?|\.(mode|searchpath|sweep|sweep\.dir))"
)
SWEEP = ("-m", "--multirun")
OUTPUT = {"train": "run_dir=FOLDER", "clean": "runs=[FOLDER]"}  # of the others: out=FOLDER
INSTEAD = {
    "hydra.run.dir": "give {output}, which is where this command works",
    "hydra.job.chdir": "commands stay in the folder in which they are started, so that paths mean what they say",
    "hydra.job.env_set": "give NAME=VALUE before the command",
    "hydra.output_subdir": "a run's settings are in its config.yaml",
    "hydra.sweep.subdir": "a sweep writes the logs of its jobs to hydra.sweep.dir",
    "hydra.verbose": "give HYDRA_FULL_ERROR=1 before the command to see where an error comes from",
}
LAUNCHERS = {
    "hydra/launcher=joblib": "hydra.launcher.n_jobs=N runs N jobs at once with the launcher of this suite",
    "hydra/launcher=basic": "it would run all jobs in one process; leave it out, and each has a process of its own",
    "hydra/sweeper=basic": "leave it out: the default does the same, and runs only what is missing",
}
SEVERAL = ("callbacks", "logger", "experiment", "debug")  # groups of which a list of options makes sense
# Groups without which a command works.
OPTIONAL = {"train": ("callbacks", "cas", "classifier", "debug", "experiment", "sweeps")}


def checked(arguments: Sequence[str], verb: str, conf: Path) -> list[str]:
    """The arguments for Hydra.

    Args:
        arguments: of the command line.
        verb: the command.
        conf: the folder of its groups.

    Raises:
        UserError: one of them would be ignored, or needs what is not installed.
    """
    found = [_checked(argument, verb, conf) for argument in map(_quoted, arguments)]
    return sorted(found, key=lambda argument: argument not in SWEEP)  # Hydra takes them before all others alone


def _checked(argument: str, verb: str, conf: Path) -> str:
    parts = OVERRIDE.fullmatch(argument)
    if parts is None or (parts["value"] is None and parts["sign"] != "~"):
        return argument
    key, value = parts["key"], parts["value"]
    if key.startswith("hydra."):
        _check_hydra(key, verb)
    if key in OPTIONS:
        _check_plugin(key, value)
    if value is not None and value.startswith("[") and key not in SEVERAL and is_group(conf, key):
        raise UserError(f"{argument} chooses several of one group: choose one of {', '.join(options(conf, key))}")
    if parts["sign"] == "~":
        _check_removal(argument, key, verb, conf)
    elif value in ("null", "none", "None") and value not in options(conf, key) and is_group(conf, key):
        _check_removal(argument, key, verb, conf)
        return f"~{key}"
    return argument


def _check_hydra(key: str, verb: str) -> None:
    if HEEDED.fullmatch(key):
        return
    instead = INSTEAD.get(
        key, "of Hydra's own settings, only hydra.launcher, hydra.sweeper and hydra.sweep.dir have one"
    )
    raise UserError(f"{key} has no effect here: {instead.format(output=OUTPUT.get(verb, 'out=FOLDER'))}")


def _check_plugin(group: str, option: str) -> None:
    if instead := LAUNCHERS.get(f"{group}={option}"):
        raise UserError(f"{group}={option} is not possible: {instead}")
    extra = OPTIONS[group].get(option)
    if extra is not None and not extra.is_installed:
        raise UserError(f"{group}={option} needs a plugin of Hydra: give {extra.command} in the checkout")


def _check_removal(argument: str, key: str, verb: str, conf: Path) -> None:
    """Raises a `UserError` for what gets its default again, or the run's own value, when it is taken away."""
    if not is_group(conf, key):
        if key in config.schema_keys(config.SCHEMAS[verb]):
            raise UserError(f"{argument} is not possible, since every setting has a value: give {key}=VALUE")
        return
    if key in OPTIONAL.get(verb, ()):
        return
    own = "" if verb == "train" else ", or leave it out for the run's own"
    raise UserError(f"{argument} is not possible: choose one of {', '.join(options(conf, key))}{own}")


def is_group(conf: Path, key: str) -> bool:
    """Whether a key is that of a group of configs."""
    return key == "sweeps" or (not key.startswith("hydra") and bool(options(conf, key)))


def options(conf: Path, group: str) -> list[str]:
    """The options of a group, the user's own too, without those that only others are made of."""
    return sorted({file.stem for place in (conf, Path("conf")) for file in (place / group).glob("[!_]*.yaml")})


def _quoted(argument: str) -> str:
    """An argument with quotes around a text in which commas are no sweep, unless they are there; others as they are."""
    parts = re.fullmatch(r"(\+{0,2}where=)(?!null$)(.*)", argument, re.DOTALL)
    if parts is None or re.fullmatch(r"(['\"]).*\1", parts[2], re.DOTALL):
        return argument
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), parts[2])
    return f"{parts[1]}'{escaped}'"
