"""How pictures are edited, and the defaults of each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from maskgit_lab.editing.blending import BLEND
from maskgit_lab.editing.canvas import FIT
from maskgit_lab.editing.hiding import HIDE
from maskgit_lab.errors import UserError
from maskgit_lab.settings.editing import CLASS_EDIT, TASKS

# As in the released class-conditional editing, which encodes the whole picture and widens the box by a cell.
OF_TASK: Mapping[str, Mapping[str, Any]] = {CLASS_EDIT: {"hide": "none", "grow": 1}}
MOST_GROW = 1000


@dataclass(frozen=True, kw_only=True)
class Options:
    """How pictures are edited.

    Attributes:
        hide: what the tokenizer sees in the hole; see `hidden`. `none` shows it the whole picture, as the release does
            for class edits.
        grow: cells by which the hole is widened in the grid, since the tokens around it depend on what was hidden.
        blend: how the result is put into the picture; see `blended`.
        seam: width in pixels of the band around the hole in which both are mixed; None: a cell.
        fit: `resize`: pictures are resized so that their shorter side is the model's; `window`: the model sees parts of
            a picture at full resolution. If a hole is larger than what the model sees at once, the window slides.
        overlap: smallest share of the tokens in a sliding window that must be known.
        stride: tokens by which a sliding window moves; None: past everything that it has filled.

    Raises:
        UserError: a value is not possible.
    """

    hide: str = "edge"
    grow: int = 0
    blend: str = "blur"
    seam: int | None = None
    fit: str = "resize"
    overlap: float = 0.5
    stride: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (("hide", HIDE), ("blend", BLEND), ("fit", FIT)):
            if (value := getattr(self, name)) not in choices:
                raise UserError(f"{name}={value} is not possible: choose one of {', '.join(choices)}")
        for name, least, most in (("grow", 0, MOST_GROW), ("seam", 0, 10 * MOST_GROW), ("stride", 1, MOST_GROW)):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not least <= value <= most):
                raise UserError(f"{name}={value} is not possible: give a whole number from {least} to {most}")
        if type(self.overlap) not in (int, float) or not 0 < self.overlap < 1:
            raise UserError(f"overlap={self.overlap} is not possible: give a share above 0 and below 1")

    def seam_for(self, cell: float) -> int:
        """The seam in pixels, given the pixels of a cell."""
        return max(1, round(cell)) if self.seam is None else self.seam


def options_for(task: str, given: Mapping[str, Any]) -> Options:
    """The options of a task: those given that are not None, and the task's defaults for the others.

    Raises:
        UserError: there is no such task, or a value is not possible.
    """
    if task not in TASKS:
        raise UserError(f"task={task}: there is no such task; choose one of {', '.join(TASKS)}")
    known = {field.name for field in fields(Options)}
    own = {key: value for key, value in given.items() if key in known and value is not None}
    options = Options(**{**OF_TASK.get(task, {}), **own})
    if options.hide == "none" and task != CLASS_EDIT:
        raise UserError(
            f"hide=none is for class edits, and task={task} must not see what it makes: choose edge or mean"
        )
    return options
