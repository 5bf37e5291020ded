"""The overviews of an edit: the grid as it fills, and the picture beside the hole and the variants.

Like the results they say how they were made, and no other file is ever overwritten.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskgit_lab.data.opening import open_picture
from maskgit_lab.editing.canvas import Canvas
from maskgit_lab.editing.drawing import Panel, arranged, panels_of_steps, panels_side_by_side
from maskgit_lab.editing.editor import Edited
from maskgit_lab.editing_files.many import Work
from maskgit_lab.editing_files.naming import result_name
from maskgit_lab.editing_files.png import how_it_was_made, write_picture
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.settings import EditConf

STEPS, BESIDE = "steps_picture", "side_by_side"  # settings that name their files
MOST_VARIANTS = 8  # that are shown


def paths_of(settings: EditConf) -> dict[str, Path]:
    """The files of the overviews that are asked for, by their settings.

    Raises:
        UserError: there are many pictures, or the names are not possible.
    """
    given = {key: value for key in (STEPS, BESIDE) if (value := getattr(settings, key)) is not None}
    paths = {key: Path(value) for key, value in given.items()}
    for key, path in paths.items():
        if Path(settings.image).is_dir():
            raise UserError(
                f"{key} shows the edit of one picture, and image={settings.image} is a folder: leave it out"
            )
        if path.suffix.lower() != ".png":
            raise UserError(f"{key}={given[key]} is not possible: give a new file whose name ends in .png")
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise UserError(f"{STEPS} and {BESIDE} are the same file: name two")
    return paths


def missing(paths: Mapping[str, Path], work: Work) -> dict[str, Path]:
    """The overviews that are not drawn yet.

    Raises:
        UserError: something else has the name of one, or a result will have it.
    """
    for key, path in paths.items():
        stem = work.edits.folder / work.sources[0].stem
        is_result = re.fullmatch(rf"{re.escape(stem.name)}-\d+\.png", path.name)
        if is_result and path.parent.resolve() == stem.parent.resolve():
            raise UserError(f"{key}={path} is the name of a result: choose another")
        if os.path.lexists(path) and not _is_own(key, path, work):
            raise UserError(f"{key}={path} exists: choose another name, so that nothing is lost")
    return {key: path for key, path in paths.items() if not path.exists()}


def make_room(paths: Mapping[str, Path]) -> None:
    """Makes the folders of overviews; called before anything is edited, since the overviews come last.

    Raises:
        UserError: nothing can be written there.
    """
    for key, path in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            reason = f"{error.filename} is a file" if isinstance(error, FileExistsError) else error.strerror
            raise UserError(f"cannot write {key}={path} ({reason}): choose another folder") from error


def draw(paths: Mapping[str, Path], work: Work, first: Edited | None) -> Iterator[Path]:
    """Draws overviews once the results are there; gives their paths.

    Args:
        paths: by the settings that name them.
        work: that is done.
        first: the first results, with how the first of them fills, for `steps_picture`.
    """
    for key, path in paths.items():
        if key == BESIDE:
            panels = _beside(work)
        else:
            assert first is not None
            panels = panels_of_steps(work.editor.pipeline, first)
        write_picture(arranged(panels), path, _about(key, work))
        yield path


def _beside(work: Work) -> list[Panel]:
    source, editor = work.sources[0], work.editor
    picture, (hole, margins) = open_picture(source.path).pixels, work.place(*source.size)
    pipeline = editor.pipeline
    canvas = Canvas.of(*source.size, margins, pipeline.size, pipeline.tokenizer.downsample, editor.options.fit)
    files = [work.edits.folder / result_name(source.stem, k) for k in range(min(work.variants, MOST_VARIANTS))]
    variants = [open_picture(file).pixels for file in files]
    return panels_side_by_side(picture, canvas.with_margins(picture[None])[0], canvas.hole(hole), variants)


def _about(key: str, work: Work) -> dict[str, Any]:
    sha256 = file_sha256(work.sources[0].path)
    return work.edits.about | {
        "identity": work.edits.identity,
        "overview": key,
        "variants": work.variants,
        "sha256": sha256,
    }


def _is_own(key: str, path: Path, work: Work) -> bool:
    """Whether a file is the overview that would be drawn."""
    try:
        return how_it_was_made(path) == _about(key, work)
    except UserError:
        return False
