"""One sentence for a user from an error that a user can fix: what is wrong, where, what to do."""

from __future__ import annotations

import errno
import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import yaml
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, Node
from omegaconf.errors import OmegaConfBaseException

from maskgit_lab import config
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.launch import folder, help
from maskgit_lab.launch.overrides import example, why_unreadable
from maskgit_lab.launch.unknown import options_of, unknown_key, unknown_option
from maskgit_lab.paths import shown
from maskgit_lab.settings import TrainConf

EXPECTED = (UserError, HydraException, OmegaConfBaseException, OSError, yaml.YAMLError)
SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?:$| requires)", re.MULTILINE)
NO_HOME = re.compile("Could not determine home directory")  # how pathlib words it
# How torch words that there is no memory, on a GPU and on the CPU.
NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|unable to allocate", re.IGNORECASE)
NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)  # said by libraries of their own
LISTED = ("callbacks", "logger", "experiment", "debug")  # groups of which a list of options makes sense
FULL = (errno.ENOSPC, errno.EDQUOT)
# How OmegaConf words that a value is of another type than its setting.
WRONG_TYPE = re.compile(
    r"could not be converted to|is not a valid bool|Cannot convert '\w+' to string|"
    r"is not Optional|Incompatible value",
    re.DOTALL,
)
KINDS = {"Integer": "a whole number", "Float": "a number", "Optional": "a text"}
NO_LIST = re.compile(r"is not a ListConfig|Cannot merge DictConfig with ListConfig")
NO_GROUP = re.compile(r"(?:Invalid type assigned|Merge error): \w+ is not a subclass of (\w+)")
VARIABLE = re.compile(r"Environment variable '(.*?)' not found")
REFERENCE = re.compile(r"Interpolation key '(.*?)' not found")
NOT_HERE = re.compile(r"Could not override '([^'@]*)'\.\s+No match in the defaults list")
HYDRAS = {  # of Hydra's own sentences, those that say too little
    re.compile(r"Could not append to config\. An item is already at '(.*?)'"): "+{0}: there is such a setting already: "
    "give {0}=VALUE, without the +",
    re.compile(r"Could not override '([^']*@[^']*)'"): "{0}: an option of a group cannot be put elsewhere with @: give "
    "GROUP=OPTION",
    re.compile(r"Override ([^ ]*@[^ ]*) looks like"): "{0}: an option of a group cannot be put elsewhere with @: give "
    "GROUP=OPTION",
    re.compile(r"In '(.*?)': Could not override"): "conf/{0}.yaml overrides a group that this command does not have: "
    "take it out of its defaults",
    re.compile(r"Additional config directory '(.*?)' not found"): "--config-dir: there is no folder {0}: give another",
    re.compile(
        r"Could not delete from config\. '(.*?)' does not exist"
    ): "~{0}: there is no such setting: leave it out",
}


def is_expected(error: Exception) -> bool:
    """Whether a user can fix what an error is about, and `sentence` says how."""
    return isinstance(error, (*EXPECTED, MemoryError)) or any(
        pattern.search(str(error)) for pattern in (NO_MEMORY, NO_SPACE, NO_HOME)
    )


def sentence(error: Exception, schema: type, help_command: str) -> str:
    """The error in one sentence.

    Args:
        error: one that `is_expected`, or that Hydra raised for a config or a command line.
        schema: the dataclass that the config has to fit; similar keys are suggested from it.
        help_command: shows a user what there is.
    """
    if isinstance(error, UserError):
        return _with_hint(str(error), schema, help_command)
    if of_file := folder.unreadable(error):
        return of_file
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _of_hydra(error, schema, help_command) or _of_the_config(error, schema, help_command)
    return _of_the_machine(error) or f"{first_line(error)}; {help_command} lists what there is"


def _of_hydra(error: Exception, schema: type, help_command: str) -> str | None:
    """What Hydra refuses before it composes a config."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        path = str(error.missing_cfg_file)
        group, _, name = path.rpartition("/")
        options = error.options or options_of(group)
        if options:
            return unknown_option(group, name, [option for option in options if not option.startswith("_")])
    if isinstance(error, OverrideParseException):
        return _with_hint(why_unreadable(str(error.override)), schema, help_command)
    if several := SEVERAL.match(str(error)):
        return _several(several[1], schema)
    for pattern, text in HYDRAS.items():
        if found := pattern.match(str(error)):
            return text.format(found[1])
    return _of_another_command(error, schema)


def _of_another_command(error: Exception, schema: type) -> str | None:
    """A setting of `train.py` that another command does not have."""
    absent = NOT_HERE.match(str(error))
    if absent is None or absent[1] in config.schema_keys(schema) or absent[1] not in config.schema_keys(TrainConf):
        return None
    return f"{absent[1]}: this command has no such setting: leave it out; a trained run has its own"


def _several(given: str, schema: type) -> str:
    """Several values of one setting, which are a list, a sweep, or a text that has commas."""
    key, _, values = given.partition("=")
    begin = f"{given} is several values: give -m before it for a job of each"
    if re.search(r"[()\[\]{}]", values) or (options_of(key) and key not in LISTED):
        return begin
    if (takes := help.takes(schema, key)) and list not in takes and key not in LISTED:
        return f"{begin}, or quotes if its commas belong to a text: {example(key, values)}" if str in takes else begin
    return f"{begin}, or write a list as {key}=[{values}]"


def _of_the_config(error: Exception, schema: type, help_command: str) -> str:
    """What OmegaConf refuses: a name, a value, or what a value refers to."""
    cause = _cause(error)
    key = re.sub(r"\[\d+\]$", "", getattr(cause, "full_key", None) or "")
    text = str(cause)
    if not key and (wrong := NO_GROUP.match(text)):
        key = _group_of(wrong[1], schema)
    if unknown := re.search(r"Key '(.*?)' (?:not in|is not in struct)", text):
        return unknown_key(key or unknown[1], schema, help_command, _beside(cause))
    if missing := re.search(r"Missing mandatory value: ([\w.]+)", text):
        name = key or missing[1]
        return f"{name} is needed: give it as {name}=VALUE; {help_command} has more"
    value = getattr(cause, "value", None)
    if key and (advice := _wrong_value(key, text, value._value() if isinstance(value, Node) else value, schema)):
        return advice
    first = first_line(cause or error).replace("Recursive interpolation detected", "it refers to itself")
    return f"{f'{key}: ' if key else ''}{first}; {help_command} lists what there is"


def _group_of(name: str, schema: type) -> str:
    """The setting of a command whose schema has this name; "" if there is none."""
    hints = get_type_hints(schema).items()
    return next(
        (key for key, hint in hints if name in {getattr(kind, "__name__", "") for kind in (hint, *get_args(hint))}), ""
    )


def _wrong_value(key: str, text: str, value: object, schema: type) -> str | None:
    """What a setting takes instead of a value of another type, or of one that refers to nothing."""
    if NO_LIST.search(text):
        values = ",".join(shown(value).split()) if isinstance(value, str | int | float) else ""
        return f"{key} takes a list: write it as {key}=[{values or 'A,B'}]"
    if NO_GROUP.search(text):
        return f"{key} is a group of settings: give them one by one, as {key}.NAME=VALUE"
    if re.match(r"Cannot assign .* to Dict", text):
        return _describes_object(key)
    if value == {}:
        return f"{key} has no settings of its own: give {key}=VALUE"
    return _not_possible(key, text, value, schema) or _without_value(key, text)


def _not_possible(key: str, text: str, value: object, schema: type) -> str | None:
    """What a setting may be."""
    choices = re.search(r"expected one of \[(.*?)\]", text)
    if choices is None and not WRONG_TYPE.search(text):
        return None
    of_hydra = next((name for word, name in KINDS.items() if text.partition("\n")[0].endswith(word)), "a text")
    is_group = any(kind is dict or is_dataclass(kind) for kind in help.takes(schema, key))
    of_group = f"its settings, each as {key}.NAME=VALUE" if is_group else ""
    allowed = help.allowed(schema, key).removesuffix(" or null") or of_group or of_hydra
    is_part = "[" in text.partition("full_key: ")[2].partition("\n")[0]
    given = f"{shown(value)} in {key}" if is_part else f"{key}={shown(value)}"
    return f"{given} is not possible: {f'choose one of {choices[1]}' if choices else f'give {allowed}'}"


def _without_value(key: str, text: str) -> str | None:
    """What a setting refers to, which is not there."""
    if found := VARIABLE.search(text):
        return f"{key} is taken from the environment variable {found[1]}, which is not set: set it, or give {key}=VALUE"
    if found := REFERENCE.search(text):
        return f"{key} refers to {found[1]}, which is no setting: give {key}=VALUE"
    return None


def _of_the_machine(error: Exception) -> str | None:
    """What is wrong with a file, a disk or the memory."""
    name = getattr(error, "filename", None)
    if NO_SPACE.search(str(error)) or (isinstance(error, OSError) and error.errno in FULL):
        which = f"the disk that holds {Path(str(name)).parent}" if name else "the disk"
        return f"{which} is full: free some space and run the same command again, which continues from what is there"
    if isinstance(error, OSError) and name:
        return f"{name}: {error.strerror}: fix it, or choose another place"
    if NO_HOME.search(str(error)):
        return "a path begins with ~ and a user that does not exist on this machine: give the full path"
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return (
            "there is not enough memory: lower the batch size (mvtm.optim.batch_size, tokenizer.optim.batch_size, "
            "eval.batch_size or batch_size), raise trainer.accumulate, or choose a smaller network"
        )
    return None


def _with_hint(text: str, schema: type, help_command: str) -> str:
    """Our own message on an unknown key, with the key that was probably meant."""
    if unknown := re.fullmatch(r"([\w.]+): there is no such setting", text):
        return unknown_key(unknown[1], schema, help_command)
    return text


def _cause(error: Exception) -> BaseException | None:
    """OmegaConf's error, which names the fault; Hydra's names the file."""
    if isinstance(error, OmegaConfBaseException):
        return error
    return error.__context__ if isinstance(error, ConfigCompositionException) else error.__cause__


def _describes_object(key: str) -> str:
    """What to give for an object that got a plain value: an option of its group, if it has one, or a class."""
    group = key.replace(".", "/")
    choice = "".join(f"{group}={option}, " for option in options_of(group))
    return f"{key} describes an object: give {choice}{'or ' if choice else ''}its class as {key}._target_=CLASS"


def _beside(error: BaseException | None) -> list[str]:
    """The keys in the place where OmegaConf missed one, which are no schema's where an object is described."""
    place, key = getattr(error, "parent_node", None), getattr(error, "full_key", None) or ""
    before = key.rpartition(".")[0]
    return [f"{before}.{name!s}" for name in place] if isinstance(place, DictConfig) and before else []
