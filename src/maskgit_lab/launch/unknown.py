"""Names that there are not: the setting or the option that was probably meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from maskgit_lab import config, usage
from maskgit_lab.settings.renamed import RENAMED

OF_EVERYTHING = "experiment"  # the group whose options change several others
ALIKE = 0.7  # how similar a name has to be to be suggested, from 0 to 1


def unknown_option(group: str, name: str, options: Sequence[str]) -> str:
    """The sentence on an option that a group does not have.

    Args:
        group: its name.
        name: of the option.
        options: that there are.
    """
    return f"{group}={name}: there is no such option{_hint(name, options)}; choose one of {', '.join(options)}"


def unknown_key(key: str, schema: type, help_command: str, beside: Sequence[str] = ()) -> str:
    """The sentence on a setting that there is not.

    Args:
        key: its dotted name.
        schema: the dataclass of the command's settings.
        help_command: shows a user what there is.
        beside: names of settings that no schema knows, such as those of an object.
    """
    known = [*config.schema_keys(schema), *beside]
    if key == OF_EVERYTHING:  # a file of that group, whose settings went into a group of their own
        return f"{key}: there is no such setting: begin the files of conf/{key}/ with the line '# @package _global_'"
    if instead := _instead(key, known):
        return f"{key}: there is no such setting; instead give {instead}"
    return f"{key}: there is no such setting{_hint_of_key(key, known)}; {help_command} lists what there is"


def meant_by(name: str, schema: type) -> str | None:
    """The setting that a name stands for, if a command has it, or one that is alike; None: there is none.

    Args:
        name: as it was given.
        schema: the dataclass of the command's settings.
    """
    known = config.schema_keys(schema)
    if name in known:
        return name
    if instead := _instead(name, known):
        return instead.replace(",", " ").split()[0].partition("=")[0]
    return _likely(name, known)


def options_of(group: str) -> list[str]:
    """The options of a group, which Hydra does not name where one of a list of them is unknown."""
    folders = (usage.configs() / "conf" / group, Path.cwd() / "conf" / group)
    return sorted({file.stem for folder in folders for file in folder.glob("*.yaml")}) if group else []


def _instead(key: str, known: Sequence[str]) -> str | None:
    """What takes the place of a name that users of Lightning know, if this command has it."""
    instead = RENAMED.get(key)
    if instead is None or "mvtm" in known:
        return instead
    return instead if instead.partition(" ")[0] in known else None


def _hint_of_key(key: str, known: Sequence[str]) -> str:
    likely = _likely(key, known)
    return f" (did you mean {likely}?)" if likely else ""


def _likely(key: str, known: Sequence[str]) -> str | None:
    """The setting whose last name is like that of a key: beside it, or where the rest of the key is like it too."""
    group, _, last = key.rpartition(".")
    known = [name for name in known if not key.startswith(f"{name}.") and name != key]
    if not group:
        ends = {name.rpartition(".")[2]: name for name in _by_depth(known)}
        if close := get_close_matches(key, ends, n=1, cutoff=ALIKE):
            return ends[close[0]]
        return next(iter(get_close_matches(key, known, n=1, cutoff=ALIKE)), None)
    beside = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == group}
    if close := get_close_matches(last, beside, n=1, cutoff=ALIKE):
        return beside[close[0]]
    alike = [name for name in known if get_close_matches(last, [name.rpartition(".")[2]], cutoff=ALIKE)]
    return next(iter(get_close_matches(key, alike, n=1, cutoff=ALIKE)), None)


def _by_depth(keys: Sequence[str]) -> list[str]:
    """Keys of groups, the first last, and then those without a group: a later one is what a lone name stands for."""
    return sorted((key for key in reversed(keys) if key.count(".") < 2), key=lambda key: -key.count("."))


def _hint(name: str, known: Sequence[str]) -> str:
    """The nearest of some names."""
    close = get_close_matches(name, known, n=1, cutoff=ALIKE)
    return f" (did you mean {close[0]}?)" if close else ""
