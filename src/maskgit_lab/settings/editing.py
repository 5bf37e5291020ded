"""The settings of `edit.py`."""

from __future__ import annotations

import math
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import field, fields
from typing import Annotated, Any

from pydantic.dataclasses import dataclass

from maskgit_lab.errors import UserError
from maskgit_lab.paths import shown
from maskgit_lab.settings.commands import EvaluateHardware, check_single_steps
from maskgit_lab.settings.fields import (
    MISSING,
    STRICT,
    AtOnce,
    Count,
    Float,
    Int,
    PathText,
    Positive,
    Samples,
    Seed,
    Whole,
    at_most,
    one_of,
    rule,
)
from maskgit_lab.sizes import MOST

CLASS_EDIT, INPAINT, OUTPAINT, EXTRAPOLATE = "class_edit", "inpaint", "outpaint", "extrapolate"
TASKS = (CLASS_EDIT, INPAINT, OUTPAINT, EXTRAPOLATE)
# The settings that say what is made anew, and how, as the end of a sentence.
WHERE = {
    CLASS_EDIT: (("box", "mask"), "give box=[x0,y0,x1,y1] or mask=FILE"),
    INPAINT: (("box", "mask"), "give box=[x0,y0,x1,y1] or mask=FILE"),
    OUTPAINT: (("left", "right", "up", "down"), "give left, right, up or down, such as right=0.5"),
    EXTRAPOLATE: (("width", "height"), "give width or height above 1, such as width=4"),
}
# Settings on which no result depends.
PLACES = ("out", "n", "batch_size", "cache_dir", "trainer", "steps_picture", "side_by_side")


def _is_label(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value)) or (type(value) is int and value >= 0)


Box = Annotated[list[Int], rule(lambda box: len(box) == 4, "give the four edges in pixels, [x0,y0,x1,y1]")]
Label = Annotated[Any, rule(_is_label, "give the number of a class, or its name")]
Between = Annotated[Float, rule(lambda x: 0 < x < 1, "give a number above 0 and below 1")]
Times = Annotated[Float, rule(lambda x: 1 <= x < math.inf, "give a number of at least 1"), at_most(MOST)]
Added = Annotated[Positive, at_most(MOST)]


@dataclass(config=STRICT)
class EditHardware(EvaluateHardware):
    """On what to edit."""

    def __post_init__(self) -> None:
        """Raises a `UserError` for what only a training has."""
        if unknown := [*self.flags, *(["precision"] if self.precision is not None else [])]:
            raise UserError(f"trainer.{unknown[0]}: there is no such setting of edit.py: leave it out")


@dataclass(config=STRICT)
class EditConf:
    """`edit.py`. What is null in `hide` and `grow` is the task's own."""

    checkpoint: PathText = MISSING  # the folder of a run, or a transformer's safetensors file
    task: Annotated[str, one_of(*TASKS)] = MISSING
    image: PathText = MISSING  # a picture, or a folder of them
    out: PathText = MISSING  # new, or with edits of the same settings
    tokenizer: dict[str, Any] = field(default_factory=dict)  # weights: its file, where checkpoint is a file
    box: Box | None = None  # of the upright picture: left, top, and the first column and row after it
    mask: PathText | None = None  # a picture of the same size: what is not black is the hole
    left: Added | None = None  # what is added, as a share of the picture's width
    right: Added | None = None
    up: Added | None = None  # the same of its height
    down: Added | None = None
    width: Times | None = None  # of the result, in widths of the picture, which stays in the middle
    height: Times | None = None
    label: Label = None  # null: no class, or the likeliest
    n: Samples = 1  # variants of each picture
    seed: Seed = 0
    fit: str = "resize"  # resize: the picture to the model's size; window: the model sees parts of the picture
    hide: str | None = None  # what the tokenizer sees in the hole: edge, mean or none
    grow: Whole | None = None  # cells by which the hole is widened on the grid of tokens
    blend: str = "blur"  # or poisson
    seam: Whole | None = None  # pixels around the hole in which picture and result are mixed; null: a cell
    overlap: Between = 0.5  # least share of a sliding window's tokens that are known
    stride: Count | None = None  # tokens that a window moves on by; null: all that it has filled
    steps_picture: PathText | None = None  # a new PNG file: the grid as it fills
    side_by_side: PathText | None = None  # a new PNG file: picture, hole and variants
    batch_size: AtOnce = 32  # results made at once
    cache_dir: PathText | None = None  # null: the run's
    decode: dict[str, Any] = field(default_factory=dict)  # replaces the run's own; steps: one T, by default 8
    trainer: EditHardware = field(default_factory=EditHardware)

    def __post_init__(self) -> None:
        """Raises a `UserError` unless it is clear what is made anew, and of which class."""
        if self.task == MISSING:
            return
        own, advice = WHERE[self.task]
        given = [key for keys, _ in WHERE.values() for key in keys if getattr(self, key) is not None]
        if others := [key for key in given if key not in own]:
            raise UserError(
                f"{others[0]}={shown(getattr(self, others[0]))} does not apply to task={self.task}: {advice}"
            )
        if self.box is not None and self.mask is not None:
            raise UserError("box and mask both say where the hole is: give one of them")
        if not given or (self.task == EXTRAPOLATE and max(self.width or 1, self.height or 1) == 1):
            raise UserError(f"task={self.task} needs a region to fill: {advice}")
        if self.task == CLASS_EDIT and self.label is None:
            raise UserError("task=class_edit needs the class that the hole gets: give label=NUMBER_OR_NAME")
        check_single_steps(self.decode)

    @property
    def options(self) -> dict[str, Any]:
        """How it is edited, as `editing.options.options_for` takes it."""
        return {key: getattr(self, key) for key in ("hide", "grow", "blend", "seam", "fit", "overlap", "stride")}

    @property
    def where(self) -> dict[str, Any]:
        """What is made anew: the settings of the task that are given."""
        return {key: value for key in WHERE[self.task][0] if (value := getattr(self, key)) is not None}

    @property
    def given(self) -> dict[str, Any]:
        """What is not as it is by default, without what decides where results lie and how many there are."""
        usual = {each.name: None if each.default is NO_DEFAULT else each.default for each in fields(self)}
        values = {name: getattr(self, name) for name in usual if name not in PLACES}
        return {name: value for name, value in values.items() if value != usual[name] and value not in (None, {})}
