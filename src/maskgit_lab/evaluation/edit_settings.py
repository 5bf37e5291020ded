"""The settings of edits that are measured, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from jaxtyping import Bool
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.editing.holes import hole_name, hole_of
from maskgit_lab.editing.options import Options, options_for
from maskgit_lab.errors import UserError
from maskgit_lab.metrics import registry
from maskgit_lab.objectives.perceptual import RANDOM
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import EDITING
from maskgit_lab.runs.outputs import made_folder
from maskgit_lab.sampling.loading import is_autoregressive_file
from maskgit_lab.settings import AUTOREGRESSIVE, CommonConf, EditingConf, EvaluateConf, TrainConf, replaced
from maskgit_lab.settings.editing import CLASS_EDIT, INPAINT, OUTPAINT

HOLES = {INPAINT: "center50", OUTPAINT: "right50"}  # of Table 2
OTHERS = ("samples", "choose_temperature", "runtime")  # what a command may evaluate in the place of edits
NOT_OF_EDITS = (*registry.LIKELIHOODS, registry.RUNTIME, "cas", "memorised")  # metrics

Spec = str | Sequence[int]


def check_asked(settings: EvaluateConf) -> None:
    """Raises a `UserError` for settings of edits without a task, and for a task beside something else."""
    task = settings.task
    if task is None:
        given, usual = asdict(settings.editing), asdict(EditingConf())
        changed = [f"editing.{key}" for key in given if given[key] != usual[key]]
        if names := [*(["hole"] if settings.hole is not None else []), *changed]:
            raise UserError(f"{names[0]} is a setting of edits: give task=inpaint, outpaint or class_edit with it")
        return
    for key in OTHERS:
        if getattr(settings, key) is not None:
            raise UserError(f"task={task} measures edits of a trained model and nothing else: leave {key} out")


def settings_to_edit(settings: EvaluateConf, folder: RunFolder | None, whole: CommonConf) -> CommonConf:
    """The settings of an evaluation of edits, with those metrics of the run that edits have.

    Raises:
        UserError: the model cannot do what is asked, or the settings do not fit each other.
    """
    spec = spec_of(settings)
    options_of(settings)
    if folder is not None:
        _check_run(settings, folder, whole)
        hole_for(settings, folder.data.size, folder.data.size)
        check_labels(settings, folder.data.n_classes, _label_dropout(whole))
    else:
        _check_file(settings, spec)
    return replaced(whole, type(whole), {"eval": {"metrics": _metrics(settings, whole)}})


def check_lpips(weights: str | None) -> None:
    """Raises a `UserError` unless the file of the weights of LPIPS is there, if one is given."""
    if weights not in (None, RANDOM) and not Path(str(weights)).is_file():
        raise UserError(f"editing.lpips_weights={weights} is not there: give the path of a file, or leave it out")


def options_of(settings: EvaluateConf) -> Options:
    """How images are edited.

    Raises:
        UserError: an option is not possible.
    """
    assert settings.task is not None
    try:
        return options_for(settings.task, asdict(settings.editing))
    except UserError as error:  # which begins with the option, as edit.py has it
        raise UserError(f"editing.{error}") from error


def spec_of(settings: EvaluateConf) -> Spec:
    """The hole as it is given, or the one that the task has in the paper.

    Raises:
        UserError: it is neither a name nor a box, or there is none.
    """
    spec = settings.hole if settings.hole is not None else HOLES.get(str(settings.task))
    if spec is None:
        raise UserError(
            f"task={settings.task} needs a hole: give hole=[x0,y0,x1,y1] in pixels, or a name such as center50"
        )
    is_box = isinstance(spec, list) and all(type(edge) is int for edge in spec)
    if not (is_box or isinstance(spec, str)):
        raise UserError(f"hole={spec} is not possible: give a name such as center50, or a box [x0,y0,x1,y1] in pixels")
    return spec


def hole_for(settings: EvaluateConf, height: int, width: int) -> Bool[Tensor, "H W"]:
    """The hole in images of a size.

    Raises:
        UserError: it is not within them, has no area, or does not suit the task.
    """
    spec = spec_of(settings)
    hole_HW = hole_of(spec, height, width)
    border = (hole_HW[0], hole_HW[-1], hole_HW[:, 0], hole_HW[:, -1])
    if settings.task == OUTPAINT and not any(bool(side.any()) for side in border):
        raise UserError(
            f"task=outpaint extends an image at its border, and hole={hole_name(spec)} lies in the middle: give "
            "hole=right50 or another hole at the border, or task=inpaint"
        )
    return hole_HW


def check_labels(settings: EvaluateConf, n_classes: int, label_dropout: float) -> None:
    """Raises a `UserError` for labels that a model of so many classes cannot have."""
    if settings.task == CLASS_EDIT and not settings.editing.use_labels:
        raise UserError("task=class_edit gives each image another class: leave editing.use_labels=false out")
    if settings.task == CLASS_EDIT and n_classes < 2:
        raise UserError("task=class_edit needs a model of at least 2 classes: give task=inpaint or outpaint")
    if not settings.editing.use_labels and label_dropout == 0:
        raise UserError(
            "editing.use_labels=false needs a model that was trained with mvtm.label_dropout above 0: leave it out"
        )


def place_of_edits(folder: RunFolder) -> Path:
    """Where the rows are kept, made if it is absent; every process calls this."""
    if ranks.is_main():
        made_folder(folder.path / EDITING)
    ranks.barrier()
    return folder.path / EDITING


def _label_dropout(whole: CommonConf) -> float:
    assert isinstance(whole, TrainConf)
    return whole.transformer.label_dropout


def _check_run(settings: EvaluateConf, folder: RunFolder, whole: CommonConf) -> None:
    if not folder.is_done("transformer"):
        raise UserError(f"task={settings.task} needs a trained model: {folder.again}")
    if isinstance(whole, TrainConf) and whole.model == AUTOREGRESSIVE:
        raise _refused(f"the run in {folder.path}")
    if settings.out is not None and Path(settings.out).resolve() == folder.path.resolve():
        raise UserError(
            f"out={settings.out} has the rows of samples: leave it out, so that those of edits go to "
            f"{folder.path / EDITING}"
        )


def _check_file(settings: EvaluateConf, spec: Spec) -> None:
    if not settings.data:
        raise UserError(f"task={settings.task} edits held-out images: name them with data=NAME and its settings")
    if is_autoregressive_file(Path(settings.checkpoint or "")):
        raise _refused(str(settings.checkpoint))
    if isinstance(spec, str):
        hole_of(spec, 1000, 1000)  # that there is such a hole; its size is checked once the model is opened


def _refused(what: str) -> UserError:
    return UserError(
        f"{what} has an autoregressive model: it predicts each token from those before it in its order, and cannot see "
        "what comes after a hole, so give a run of model=maskgit"
    )


def _metrics(settings: EvaluateConf, whole: CommonConf) -> list[str]:
    """Those metrics that edits have.

    Raises:
        UserError: another is asked for, or there is none.
    """
    asked = whole.eval.metrics
    kept = [name for name in asked if name not in NOT_OF_EDITS]
    left_out = [name for name in asked if name in NOT_OF_EDITS]
    if left_out and "metrics" in settings.eval:
        raise UserError(f"eval.metrics: {left_out[0]} is not measured for edits: leave it out")
    if not kept:
        raise UserError(
            "none of the run's metrics applies to edits: name some, such as eval.metrics=[fid,precision_recall]"
        )
    return registry.as_given(kept)
