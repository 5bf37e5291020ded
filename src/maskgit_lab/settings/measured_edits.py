"""Settings of edits that are measured."""

from __future__ import annotations

from typing import Annotated

from pydantic.dataclasses import dataclass

from maskgit_lab.settings.fields import STRICT, Count, PathText, Rule, Whole, at_most

MEASURED = ("class_edit", "inpaint", "outpaint")  # the tasks whose results have an original to be compared with
MOST_VARIANTS = 64


def _measured(task: str) -> str:
    if task == "extrapolate":
        raise ValueError(
            "beyond the border of an image there is no original to be compared with; choose one of "
            f"{', '.join(MEASURED)}, or extrapolate pictures with edit.py"
        )
    if task not in MEASURED:
        raise ValueError(f"choose one of {', '.join(MEASURED)}")
    return task


Task = Annotated[str, Rule(_measured, f"choose one of {', '.join(MEASURED)}")]


@dataclass(config=STRICT)
class EditingConf:
    """How held-out images are edited for `task`; what is null is as the task has it."""

    hide: str | None = None  # what the tokenizer sees in the hole: edge, mean; none, for class edits
    grow: Whole | None = None  # cells by which the hole is widened in the grid
    blend: str | None = None  # of the result into the image: blur, poisson
    seam: Whole | None = None  # pixels around the hole in which both are mixed; null: a cell
    variants: Annotated[Count, at_most(MOST_VARIANTS)] = 2  # of each image; with 1 no diversity is measured
    lpips_weights: PathText | None = None  # VGG16 as torchvision has it; random: a try; null: no LPIPS
    use_labels: bool = True  # the class of each image; without, no class, after a training with label dropout
