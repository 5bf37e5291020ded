"""Errors that no sentence is known for: where they were raised, and the file that their traceback is written to.

A user never sees a traceback, and somebody who extends the suite with classes of their own still needs one: the
sentence names the file and the line, and the file has the rest.
"""

from __future__ import annotations

import os
import re
import shlex
import site
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import hydra
import omegaconf

from hydra_plugins import maskgit_lab_jobs
from maskgit_lab import __version__, usage
from maskgit_lab.errors import first_line

ERRORS = Path("outputs") / "errors"  # of the working folder
SWITCH = "HYDRA_FULL_ERROR=1"
LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
# How torch carries the traceback of a process that loads data: in the text of the error.
FRAME = re.compile(r'File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<function>\S+)')
IN_A_PROCESS = re.compile(r"Caught \w+ in .*\nOriginal Traceback", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A line of code."""

    file: Path
    line: int
    function: str

    def __str__(self) -> str:
        shown = self.file
        for folder in (Path.cwd(), usage.PACKAGE.parent):
            if self.file.is_relative_to(folder):
                shown = self.file.relative_to(folder)
                break
        return f"{shown}, line {self.line}, in {self.function}"


def fault(error: BaseException, verb: str) -> str:
    """The sentence on an error that nobody expects, whose traceback is written to a file.

    Args:
        error: with its traceback.
        verb: the command.
    """
    what = f"{type(error).__name__}: {_message(error)}"
    kept = _kept(error, verb)
    more = f"the traceback is in {kept}" if kept else f"{SWITCH} before the command shows the traceback"
    if own := own_place(error):
        return f"{own}, raised {what}: fix it there; {more}"
    where = next(reversed(list(_places(error))), None)
    return (
        f"{verb}.py met an unexpected error ({what}{f'; {where}' if where else ''}): this is a fault of the "
        f"program or of this machine, not of your settings; {more}: please report it with that"
    )


def own_place(error: BaseException | None) -> Place | None:
    """The line of the user's own code that raised an error; None: it was raised by this suite or a library.

    Args:
        error: with its traceback. Of a `UserError` the error that it was made from is looked at.
    """
    if error is None:
        return None
    return next((place for place in reversed(list(_places(error))) if _is_own(place.file)), None)


def is_of_hydra(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf raised an error, as they do for configs that make no sense."""
    places = list(_places(error))
    folders = [Path(module.__file__).parent for module in (hydra, omegaconf) if module.__file__]
    return bool(places) and any(places[-1].file.is_relative_to(folder) for folder in folders)


def _places(error: BaseException) -> Iterator[Place]:
    """The lines that led to an error, from this suite's first one on."""
    trace = traceback.walk_tb(error.__traceback__)
    frames = [Place(Path(frame.f_code.co_filename), line, frame.f_code.co_name) for frame, line in trace]
    inside = [i for i, place in enumerate(frames) if place.file.is_relative_to(usage.PACKAGE)]
    yield from frames[inside[0] :] if inside else frames
    if IN_A_PROCESS.match(str(error)):
        yield from (Place(Path(f["file"]), int(f["line"]), f["function"]) for f in FRAME.finditer(str(error)))


def _message(error: BaseException) -> str:
    """The first line of an error's message, or the last of an error of a process that loads data."""
    if IN_A_PROCESS.match(str(error)):
        return str(error).strip().splitlines()[-1]
    return first_line(error)


def _is_own(file: Path) -> bool:
    """Whether a file is the user's, and not of this suite or installed."""
    installed = [sysconfig.get_path(name) for name in LIBRARIES] + [*site.getsitepackages(), site.getusersitepackages()]
    folders = [usage.PACKAGE, Path(maskgit_lab_jobs.__file__).parent, *map(Path, installed)]
    return file.is_file() and not any(file.resolve().is_relative_to(folder.resolve()) for folder in folders)


def _kept(error: BaseException, verb: str) -> str:
    """The file that now has the traceback; "" if none can be written."""
    name = f"{verb}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    command = f"{usage.as_typed(f'python {verb}.py')} {shlex.join(sys.argv[1:])}"
    text = f"maskgit_lab {__version__}, Python {sys.version.split()[0]}\n{command}\n\n"
    text += "".join(traceback.format_exception(error))
    for folder in (ERRORS, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            continue
        return str(folder / name)
    return ""
