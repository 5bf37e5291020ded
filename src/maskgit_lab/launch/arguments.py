"""What is checked of a command line before Hydra reads it: what Hydra would accept and these commands would ignore."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import NoneType

from maskgit_lab import config
from maskgit_lab.errors import UserError
from maskgit_lab.launch import help, overrides, switches
from maskgit_lab.launch.extras import INSTEAD as PLUGINS_INSTEAD
from maskgit_lab.launch.extras import OPTIONS
from maskgit_lab.launch.overrides import OVERRIDE
from maskgit_lab.launch.sentences import LISTED
from maskgit_lab.launch.unknown import meant_by, unknown_option

PLUGINS = ("launcher", "sweeper")
# Hydra's own settings that these commands heed.
HEEDED = re.compile(
    r"hydra(\.(launcher|sweeper|callbacks|job_logging|hydra_logging)(\..+)?|\.(mode|searchpath|sweep|sweep\.dir))"
)
LONGEST, SHOWN = 5_000, 40  # characters of an argument, and of one in a sentence
PLAIN = {bool, int, float, str, list, NoneType}  # types of settings that are values
SWEEPS = "sweeps"  # the one group whose options are not in conf/
SEARCH_PATH, FILE, PACKAGE = "hydra.searchpath", "file://", "pkg://"
OUTPUT = {"train": "run_dir=FOLDER", "clean": "runs=[FOLDER]"}  # of the others: out=FOLDER
INSTEAD = {
    "hydra.run.dir": "give {output}, which is where this command works",
    "hydra.job.chdir": "commands stay in the folder in which they are started, so that paths mean what they say",
    "hydra.job.env_set": "give NAME=VALUE before the command",
    "hydra.output_subdir": "a run's settings are in its config.yaml",
    "hydra.sweep.subdir": "a sweep writes the logs of its jobs to hydra.sweep.dir",
    "hydra.verbose": "give HYDRA_FULL_ERROR=1 before the command to see where an error comes from",
}
CLASSES = {f"hydra.{part}._target_": f"one of the options of hydra/{part}, with hydra/{part}=NAME" for part in PLUGINS}
NO_NAME = re.compile(r"[+-]?\d*\.?\d+|true|false", re.IGNORECASE)  # what Hydra reads as a number or a switch
# Groups without which a command works.
OPTIONAL = {"train": ("callbacks", "cas", "classifier", "debug", "experiment", "sweeps")}


def checked(arguments: Sequence[str], verb: str, conf: Path) -> list[str]:
    """The arguments for Hydra: the switches first, since it takes settings between them for wrong ones.

    Args:
        arguments: of the command line.
        verb: the command.
        conf: the folder of its groups.

    Raises:
        UserError: one of them cannot be read, would be ignored, or needs what is not installed.
    """
    for argument in arguments:
        if not _is_text(argument):
            raise UserError(f"{argument!r} is not valid UTF-8: give names and values in UTF-8")
        if len(argument) > LONGEST:  # which takes Hydra's grammar very long
            raise UserError(
                f"{argument[:SHOWN]}... has {len(argument):,} characters: give at most {LONGEST:,}, or put the setting "
                "into an option in conf/ of this folder"
            )
    given, settings = switches.apart(arguments, lambda name: _meant(name, verb, conf))
    return [*given, *(_checked(overrides.readable(setting), verb, conf) for setting in map(_quoted, settings))]


def _is_text(argument: str) -> bool:
    """Whether an argument can be written to a file: what is not UTF-8 has lone surrogates here."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def _meant(name: str, verb: str, conf: Path) -> str | None:
    """The setting or the group that a name stands for."""
    return name if name and is_group(conf, name) else meant_by(name, config.SCHEMAS[verb])


def _checked(argument: str, verb: str, conf: Path) -> str:
    parts = OVERRIDE.fullmatch(argument)
    if parts is None or (parts["value"] is None and parts["sign"] != "~"):
        return argument
    key, value = parts["key"], parts["value"]
    if key.startswith("hydra."):
        _check_hydra(key, value, verb)
    _check_depth(key, config.SCHEMAS[verb])
    if key in OPTIONS:
        _check_plugin(key, value)
    if value is not None and is_group(conf, key):
        _check_option(argument, key, value, conf)
    if parts["sign"] == "~":
        _check_removal(argument, key, verb, conf)
    elif value in ("null", "none", "None") and value not in options(conf, key) and is_group(conf, key):
        _check_removal(argument, key, verb, conf)
        return f"~{key}"
    return argument


def _check_option(argument: str, group: str, value: str, conf: Path) -> None:
    """Raises a `UserError` for what cannot be an option, or one of a list of options."""
    if value.startswith("[") and group not in LISTED:
        raise UserError(f"{argument} chooses several of one group: choose one of {', '.join(options(conf, group))}")
    for name in map(str.strip, value.strip("[]").split(",")):
        if value.startswith("{") or NO_NAME.fullmatch(name):
            raise UserError(unknown_option(group, value, options(conf, group)))
        if "/" in name and not _is_file_of(group, name, conf):
            raise UserError(unknown_option(group, name, options(conf, group)))


def _is_file_of(group: str, name: str, conf: Path) -> bool:
    """Whether an option lies in a folder of its group."""
    places = [place / group for place in (conf, Path("conf"))]
    found = [(place / f"{name}.yaml", place) for place in places]
    return any(file.is_file() and file.resolve().is_relative_to(place.resolve()) for file, place in found)


def _check_hydra(key: str, value: str | None, verb: str) -> None:
    if key in CLASSES:
        raise UserError(f"{key} is not possible: choose {CLASSES[key]}")
    if key == SEARCH_PATH and value is not None:
        _check_search_path(value)
    if HEEDED.fullmatch(key):
        return
    instead = INSTEAD.get(
        key, "of Hydra's own settings, only hydra.launcher, hydra.sweeper and hydra.sweep.dir have one"
    )
    raise UserError(f"{key} has no effect here: {instead.format(output=OUTPUT.get(verb, 'out=FOLDER'))}")


def _check_depth(key: str, schema: type) -> None:
    """Raises a `UserError` for a setting of a number or a list, in which Hydra finds no place for it."""
    parts = key.split(".")
    for above in (".".join(parts[:n]) for n in range(1, len(parts))):
        if (kinds := help.takes(schema, above)) and kinds <= PLAIN:
            raise UserError(f"{above} has no settings of its own: give {above}=VALUE")


def _check_search_path(value: str) -> None:
    """Raises a `UserError` for a folder that is not there, which Hydra would only warn of."""
    for place in (each.strip(" '\"") for each in value.strip("[]").split(",")):
        if place and not place.startswith((PACKAGE, "$")) and not Path(place.removeprefix(FILE)).is_dir():
            raise UserError(f"{SEARCH_PATH}={value} is not possible: there is no folder {place.removeprefix(FILE)}")


def _check_plugin(group: str, option: str) -> None:
    if instead := PLUGINS_INSTEAD.get(f"{group}={option}"):
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
    return key == SWEEPS or (not key.startswith("hydra") and bool(options(conf, key)))


def options(conf: Path, group: str) -> list[str]:
    """The options of a group, the user's own too, without those that only others are made of."""
    places = (conf.parent, Path()) if group == SWEEPS else (conf, Path("conf"))
    return sorted({file.stem for place in places for file in (place / group).glob("[!_]*.yaml")})


def _quoted(argument: str) -> str:
    """An argument with quotes around a text in which commas are no sweep, unless they are there; others as they are."""
    parts = re.fullmatch(r"(\+{0,2}where=)(?!null$)(.*)", argument, re.DOTALL)
    if parts is None or re.fullmatch(r"(['\"]).*\1", parts[2], re.DOTALL):
        return argument
    return f"{parts[1]}{overrides.quoted(parts[2])}"
