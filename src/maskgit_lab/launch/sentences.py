"""One sentence for a user from an error of ours, of Hydra's or of OmegaConf's: what is wrong, where, what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskgit_lab import config, usage
from maskgit_lab.errors import UserError
from maskgit_lab.settings.renamed import RENAMED

SEVERAL = re.compile(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?:$| requires)", re.MULTILINE)
ALIKE = 0.7  # how similar a name has to be to be suggested, from 0 to 1
FULL = (errno.ENOSPC, errno.EDQUOT)


def sentence(error: Exception, schema: type, help_command: str) -> str:
    """The error in one sentence.

    Args:
        error: a `UserError`, or an error that Hydra or OmegaConf raised for a config or a command line.
        schema: the dataclass that the config has to fit; similar keys are suggested from it.
        help_command: shows a user what there is.
    """
    if isinstance(error, UserError):
        return _with_hint(str(error), schema, help_command)
    if of_hydra := _of_hydra(error):
        return of_hydra
    cause = _cause(error)
    key = getattr(cause, "full_key", None)
    if unknown := re.search(r"Key '(.*?)' (?:not in|is not in struct)", str(cause)):
        return _unknown_key(key or unknown[1], [*config.schema_keys(schema), *_beside(cause)], help_command)
    if key and "is not a ListConfig" in str(cause):
        return f"{key} takes a list: write it as {key}=[1,2]"
    if missing := re.search(r"Missing mandatory value: ([\w.]+)", str(cause)):
        name = key or missing[1]
        return f"{name} is needed: give it as {name}=VALUE; {help_command} has more"
    if key and re.match(r"Cannot assign .* to Dict", str(cause)):
        return _describes_object(key)
    if isinstance(error, OSError) and (error.filename or error.errno in FULL):
        return _of_the_disk(error)
    first = str(cause or error).strip().splitlines()[0].rstrip(".")
    return f"{f'{key}: ' if key else ''}{first}; {help_command} lists what there is"


def _of_hydra(error: Exception) -> str | None:
    """What Hydra refuses before it composes a config."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        path = str(error.missing_cfg_file)
        options = error.options or _options(path.rpartition("/")[0])
        if options:
            return _unknown_option(path, [option for option in options if not option.startswith("_")])
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read the override {error.override!r}: write it as KEY=VALUE, with its brackets and quotes closed"
        )
    if several := SEVERAL.match(str(error)):
        return f"{several[1]} is several values: give -m before it for a job of each, or write a list as KEY=[1,2]"
    return None


def _of_the_disk(error: OSError) -> str:
    if error.errno in FULL:
        return "the disk is full: free some space and give the same command again, which continues from what is there"
    return f"{error.filename}: {error.strerror}: fix it, or choose another place"


def _with_hint(text: str, schema: type, help_command: str) -> str:
    """Our own message on an unknown key, with the key that was probably meant."""
    if unknown := re.fullmatch(r"([\w.]+): there is no such setting", text):
        return _unknown_key(unknown[1], config.schema_keys(schema), help_command)
    return text


def _cause(error: Exception) -> BaseException | None:
    """OmegaConf's error, which names the fault; Hydra's names the file."""
    if isinstance(error, OmegaConfBaseException):
        return error
    return error.__context__ if isinstance(error, ConfigCompositionException) else error.__cause__


def _unknown_option(path: str, options: list[str]) -> str:
    group, _, name = path.rpartition("/")
    return f"{group}={name}: there is no such option{_hint(name, options)}; choose one of {', '.join(options)}"


def _describes_object(key: str) -> str:
    """What to give for an object that got a plain value: an option of its group, if it has one, or a class."""
    group = key.replace(".", "/")
    choice = "".join(f"{group}={option}, " for option in _options(group))
    return f"{key} describes an object: give {choice}{'or ' if choice else ''}its class as {key}._target_=CLASS"


def _options(group: str) -> list[str]:
    """The options of a group, which Hydra does not name where one of a list of them is unknown."""
    folders = (usage.configs() / "conf" / group, Path.cwd() / "conf" / group)
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")}) if group else []


def _beside(error: BaseException | None) -> list[str]:
    """The keys in the place where OmegaConf missed one, which are no schema's where an object is described."""
    place, key = getattr(error, "parent_node", None), getattr(error, "full_key", None) or ""
    before = key.rpartition(".")[0]
    return [f"{before}.{name!s}" for name in place] if isinstance(place, DictConfig) and before else []


def _unknown_key(key: str, known: list[str], help_command: str) -> str:
    if instead := _instead(key, known):
        return f"{key}: there is no such setting; instead give {instead}"
    known = [name for name in known if not key.startswith(f"{name}.")]
    ends = {name.rpartition(".")[2]: name for name in _by_depth(known)}
    hint = _hint(key, ends) if "." not in key else ""
    hint = hint or _hint(key, known)
    return f"{key}: there is no such setting{hint}; {help_command} lists what there is"


def _instead(key: str, known: Sequence[str]) -> str | None:
    """What takes the place of a name that users of Lightning know, if this command has it."""
    instead = RENAMED.get(key)
    if instead is None or "mvtm" in known:
        return instead
    return instead if instead.partition(" ")[0] in known else None


def _by_depth(keys: list[str]) -> list[str]:
    """Keys of groups, the first last, and then those without a group: a later one is what a lone name stands for."""
    return sorted((key for key in reversed(keys) if key.count(".") < 2), key=lambda key: -key.count("."))


def _hint(name: str, known: Sequence[str] | Mapping[str, str]) -> str:
    """The nearest of some names, or what it stands for."""
    close = get_close_matches(name, known, n=1, cutoff=ALIKE)
    if not close:
        return ""
    return f" (did you mean {known[close[0]] if isinstance(known, Mapping) else close[0]}?)"
