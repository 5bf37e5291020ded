"""The images below folders of a user's: each folder and each file once, however many links lead to it.

Hidden names, those that systems leave in folders, and what is no disk are passed over. No file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torchvision.datasets.folder import IMG_EXTENSIONS

from maskgit_lab.errors import UserError
from maskgit_lab.paths import is_of_system

OF_SYSTEMS = ("__MACOSX", "@eaDir", "lost+found")  # of archives made on a Mac, of Synology, and of Linux


class _File(NamedTuple):
    place: str  # its folder, as it was reached
    name: str
    real: str  # its folder, without links
    is_link: bool

    @property
    def path(self) -> str:
        return os.path.join(self.place, self.name)  # noqa: PTH118

    @property
    def target(self) -> str:
        return os.path.realpath(self.path) if self.is_link else os.path.join(self.real, self.name)  # noqa: PTH118


def folders_in(folder: Path) -> list[str]:
    """The names of the folders in a folder, links to folders included, in their order.

    Raises:
        UserError: it cannot be read.
    """
    return [entry.name for entry in _entries(str(folder)) if _is_folder(entry)]


def images_below(folders: Sequence[Path], apart: Iterable[Path] = ()) -> list[list[str]]:
    """The image files at any depth below each of some folders, by the ends of their names, in the order of their
    folders and then of their names.

    A link is followed, unless it leads to a folder that holds one of these, to one of these, or to what was visited
    before. Of links to one file, and the file itself, one counts.

    Args:
        folders: where to look.
        apart: further folders that links do not lead into.

    Raises:
        UserError: two of the folders are the same, or one cannot be read.
    """
    seen = {place for folder in folders for place in _holders(folder)} | {os.path.realpath(each) for each in apart}
    tops = dict[str, Path]()
    for folder in folders:
        if (other := tops.setdefault(os.path.realpath(folder), folder)) is not folder:
            raise UserError(f"{folder} and {other} are the same folder, by a link: remove one of them")
    seen |= tops.keys()
    found = [sorted(_walk(str(folder), seen), key=lambda file: file[:2]) for folder in folders]
    return [[file.path for file in files] for files in _once(found)]


def _once(found: list[list[_File]]) -> list[list[_File]]:
    """Without links to files that are there, or that an earlier link leads to."""
    if not any(file.is_link for files in found for file in files):
        return found
    taken = {file.target for files in found for file in files if not file.is_link}
    kept = []
    for files in found:
        own = []
        for file in files:
            target = file.target
            if not file.is_link or target not in taken:
                own.append(file)
                taken.add(target)
        kept.append(own)
    return kept


def _walk(top: str, seen: set[str]) -> Iterator[_File]:
    """The images below a folder, whose real path is in `seen` already."""
    todo = [top]
    while todo:
        place = todo.pop()
        real, below = os.path.realpath(place), list[str]()
        for entry in _entries(place):
            if _is_folder(entry):
                if (path := os.path.realpath(entry.path)) not in seen and not is_of_system(path):
                    seen.add(path)
                    below.append(entry.path)
            elif entry.name.lower().endswith(IMG_EXTENSIONS):
                yield _File(place, entry.name, real, entry.is_symlink())
        todo += reversed(below)


def _entries(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            shown = [each for each in entries if not each.name.startswith(".") and each.name not in OF_SYSTEMS]
    except OSError as error:
        raise UserError(f"the folder {place} cannot be read ({error.strerror}): change its permissions") from error
    return sorted(shown, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _holders(folder: Path) -> set[str]:
    """The real paths of the folders that hold a folder, and of those that hold what it is a link to."""
    places = (folder.absolute().parent.resolve(), folder.resolve().parent)
    return {str(above) for place in places for above in (place, *place.parents)}
