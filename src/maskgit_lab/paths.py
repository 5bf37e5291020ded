"""Paths that users give: checked and expanded in one way, in whatever setting or argument they come.

A `~` reaches the commands where no shell has expanded it: in YAML files, in quotes, and after a `=`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskgit_lab.errors import UserError

HOME = "~"
LONGEST_NAME = 255  # bytes of the name of one file or folder
LONGEST = 4095  # bytes of a path, on Linux
SHOWN = 200  # characters of a value in a sentence
# Where the kernel shows processes and devices as files: no end to them, and none of a user's.
OF_SYSTEM = ("/proc", "/sys")
# Settings of objects (`_target_`) that are paths, by their names.
OF_OBJECTS = re.compile(r"(\w+_)?(root|path|dir|dirpath|folder|file|files|weights)")
EMPTY = "give the path of a file or a folder"


def expanded(text: str) -> str:
    """A path in which the home folder stands for `~` or `~user` at its beginning; any other as it is.

    Raises:
        ValueError: it is empty, leads back to itself or to what is the system's, begins with a user who is not on this
            machine, or can be no file's.
    """
    if not text.strip():
        raise ValueError(EMPTY)
    if "\0" in text:
        raise ValueError("no path has a NUL character: leave it out")
    whole = os.path.expanduser(text) if text.startswith(HOME) else text  # noqa: PTH111  pathlib's form changes others
    if whole.startswith(HOME):
        raise ValueError(f"{text.partition('/')[0]} is not a user of this machine: give the whole path, or ./{HOME}...")
    try:
        encoded = whole.encode()
    except UnicodeEncodeError as error:
        raise ValueError("it is not UTF-8: rename the file or the folder") from error
    if len(encoded) > LONGEST or max(map(len, encoded.split(b"/"))) > LONGEST_NAME:
        raise ValueError(f"no path has more than {LONGEST} bytes, or {LONGEST_NAME} in one name: give a shorter one")
    _check_ends(whole)
    return whole


def _check_ends(path: str) -> None:
    """Raises a `ValueError` for a link that leads back to itself, which much of Python fails at in ways of its own, and
    for what is no file on a disk.
    """
    try:
        os.stat(path)  # noqa: PTH116  nothing of a path is read but this
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link that leads back to itself: remove the link, or give another path") from error
    if is_of_system(os.path.realpath(path)):
        raise ValueError("it belongs to the system: give the path of a file or a folder of your own")


def is_of_system(real: str) -> bool:
    """Whether a path without links lies where the kernel shows processes and devices."""
    return real.startswith(tuple(f"{place}/" for place in OF_SYSTEM)) or real in OF_SYSTEM


def path_of(given: object, key: str) -> Path:
    """The path that an argument names, as `expanded` has it.

    Args:
        given: the path.
        key: the setting or argument, for errors.

    Raises:
        UserError: it is not possible.
    """
    if not isinstance(given, str | os.PathLike):
        raise UserError(f"{key}={given!r} is not possible: {EMPTY}")
    return Path(_expanded(os.fsdecode(given), key))


def check_regular(path: Path) -> None:
    """Raises an `OSError` for a pipe, a socket or a device, which could be read forever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError("it is not a regular file")


def text_of(path: Path, errors: str = "strict") -> str:
    """The text of a file in UTF-8, of which nobody knows who put it there.

    Args:
        path: the file.
        errors: what to do with bytes that are not UTF-8, as `open` has it.

    Raises:
        OSError: it is absent or no regular file.
        UnicodeDecodeError: it is not UTF-8.
    """
    check_regular(path)
    return path.read_text(encoding="utf-8", errors=errors)


def folder_name(text: str) -> str:
    """The name of one folder, which leads nowhere else.

    Raises:
        ValueError: it is a path, or a name that lists and shells treat in a way of their own.
    """
    if not (text.strip() and text.isprintable()) or re.search(r"[/\\]", text) or text.startswith((".", HOME)):
        raise ValueError("give the name of one folder, without / and \\, that begins with neither . nor ~")
    return expanded(text)


def shortened(text: str) -> str:
    """A value that somebody gave, short enough for a sentence."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def shown(value: Any) -> str:
    """A value as a command line has it, short enough for a sentence."""
    if isinstance(value, list):
        return shortened(f"[{','.join(map(shown, value))}]")
    if isinstance(value, Mapping):
        return shortened(f"{{{','.join(f'{key}:{shown(each)}' for key, each in value.items())}}}")
    return shortened(str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value))


def with_paths(settings: Any, mark: str, key: str = "") -> Any:
    """Plain settings in which the paths of objects are as `expanded` has them: texts that begin with `~/`, and those
    whose names say that they are paths.

    Args:
        settings: all of them, or a part.
        mark: the key that makes a group of settings those of an object.
        key: of the part, for errors.

    Raises:
        UserError: a path is not possible.
    """
    if not isinstance(settings, Mapping):
        return settings
    if mark in settings:
        return _of_object(settings, key, named=False)
    return {name: with_paths(value, mark, _joined(key, name)) for name, value in settings.items()}


def _of_object(value: Any, key: str, *, named: bool) -> Any:
    """Settings of an object, or a part of them, whose name says that it is a path or not."""
    if isinstance(value, Mapping):
        return {
            name: _of_object(each, _joined(key, name), named=named or bool(OF_OBJECTS.fullmatch(str(name))))
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_of_object(each, key, named=named) for each in value]
    if isinstance(value, str) and (named or value == HOME or value.startswith(f"{HOME}/")):
        return _expanded(value, key)
    return value


def _expanded(text: str, key: str) -> str:
    try:
        return expanded(text)
    except ValueError as error:
        raise UserError(f"{key}={shortened(text)} is not possible: {error}") from error


def _joined(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)
