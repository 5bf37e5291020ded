"""The pictures that are edited: a file, or all files below a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool
from torch import Tensor

from maskgit_lab.data.opening import open_picture, pictures_in, size_of
from maskgit_lab.editing.canvas import Margins
from maskgit_lab.editing.editor import Editor
from maskgit_lab.editing_files.naming import stems_of
from maskgit_lab.errors import UserError

MOST_NAMED = 5  # pictures in a sentence
Place = Callable[[int, int], tuple[Bool[Tensor, "H W"], Margins]]  # the hole in H x W pixels, and what is added to them


@dataclass(frozen=True)
class Source:
    """A picture that is edited."""

    path: Path
    name: Path  # as results know it: below the folder, or of the file alone
    stem: Path  # of its results, in their folder
    size: tuple[int, int]  # height and width in pixels


def sources_of(image: Path, out: Path) -> tuple[list[Source], dict[Path, str]]:
    """The pictures of `image=`; of many, only the headers are read.

    Returns:
        The pictures, and of many those that cannot be read, with what is wrong with each.

    Raises:
        UserError: there are none that can be read, or the results would lie among them.
    """
    if not image.is_dir():
        height, width = open_picture(image).pixels.shape[1:]  # so that damage is found before anything is written
        return [Source(image, Path(image.name), Path(image.stem), (height, width))], {}
    if out.resolve().is_relative_to(image.resolve()):
        raise UserError(f"out={out} lies in image={image}, so that results would be edited too: choose another folder")
    sources, faults, names = list[Source](), dict[Path, str](), pictures_in(image)
    for name, stem in zip(names, stems_of(names), strict=True):
        try:
            sources.append(Source(image / name, name, stem, size_of(image / name)))
        except UserError as error:
            faults[image / name] = str(error)
    if not sources:
        raise UserError(f"no picture of {len(faults):,} in image={image} can be read: {listed(faults)}")
    return sources, faults


def windows_of(sources: list[Source], editor: Editor, place: Place) -> dict[tuple[int, int], int]:
    """In how many windows pictures are filled, by their sizes.

    Raises:
        UserError: some cannot be edited so, as far as their sizes tell.
    """
    windows, errors = dict[tuple[int, int], int](), dict[tuple[int, int], UserError]()
    for size in dict.fromkeys(source.size for source in sources):
        try:
            windows[size] = editor.windows(*size, *place(*size))
        except UserError as error:
            errors[size] = error
    if errors and len(sources) == 1:
        raise errors[sources[0].size]
    if errors:
        faults = {each.path: f"image={each.path}: {errors[each.size]}" for each in sources if each.size in errors}
        raise UserError(
            f"{len(faults):,} of {len(sources):,} pictures do not fit these settings, so none is edited: "
            f"{listed(faults)}"
        )
    return windows


def listed(faults: Mapping[Path, str]) -> str:
    """What is wrong with the first pictures of some."""
    return "; ".join(list(faults.values())[:MOST_NAMED])
