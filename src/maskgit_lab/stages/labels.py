"""The class that an edit is given: a label, no class, or the likeliest by the classifier that a run has trained.

The classifier is loaded, and never trained here. It sees a picture as the model does, without what is in the hole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from maskgit_lab.data.views import Framing
from maskgit_lab.editing.hiding import hidden
from maskgit_lab.editing_files.many import Label
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import LENGTH
from maskgit_lab.metrics.features import ClassifierFeatures
from maskgit_lab.nets.building import build_net
from maskgit_lab.nets.classifier import Classifier
from maskgit_lab.nets.files import load_net
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.store import WEIGHTS, open_valid
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.stages.classifier import centre_of


@dataclass(frozen=True)
class Labels:
    """How pictures get their classes."""

    of: Callable[[Tensor, Tensor], Label]  # a picture (3, H, W) with a hole (H, W)
    known_by: int | str | None  # what results depend on: a number, no class, or the classifier


def labels_for(given: int | str | None, pipeline: Pipeline, folder: RunFolder | None, hide: str) -> Labels:
    """The classes of pictures, by what `label` is given.

    Args:
        given: the number of a class, or its name; None: no class for a model that was trained with label dropout, the
            only class of a data set of one, and else the likeliest.
        pipeline: the model.
        folder: the run, if it is one.
        hide: what is shown of a hole.

    Raises:
        UserError: there is no such class, or no classifier that finds the likeliest.
    """
    names = pipeline.class_names
    if given is not None:
        number = _number_of(given, names)
        return _always(Label(number, names[number], "label"))
    if pipeline.label_dropout > 0:
        return Labels(lambda picture, hole: Label(pipeline.null_label, None, "no class"), None)
    if len(names) == 1:
        return _always(Label(0, names[0], "only class"))
    classifier, framing = load_classifier(folder, pipeline.device), Framing(pipeline.size[0], None, flip=False, seed=0)

    def likeliest(picture: Tensor, hole: Tensor) -> Label:
        number = recognised(classifier, framing, hidden(picture[None], hole, hide)[0])
        return Label(number, names[number], "classifier")

    return Labels(likeliest, f"classifier {classifier.identity[:LENGTH]}")


def load_classifier(folder: RunFolder | None, device: torch.device) -> ClassifierFeatures:
    """The classifier of a run.

    Raises:
        UserError: it has none, or its file is missing or damaged.
    """
    advice = "give label=NUMBER_OR_NAME"
    if folder is None:
        raise UserError(f"label is needed, since there is no run whose classifier finds the likeliest class: {advice}")
    record, conf = folder.record.classifier, folder.settings().classifier
    if record is None or conf is None:
        raise UserError(
            f"label is needed, since the run in {folder.path} has no classifier that finds the likeliest "
            f"class: {advice}"
        )
    net = build_net(conf.net, "classifier.net", Classifier, n_classes=folder.data.n_classes)  # type: ignore[type-abstract]
    try:
        entry = open_valid(folder.place(record.path), folder.again)
        load_net(net, entry.path / WEIGHTS)
    except UserError as error:
        reason = str(error).partition(";")[0]
        raise UserError(f"label is needed, since the run's classifier is gone ({reason}): {advice}") from error
    return ClassifierFeatures(net.to(device), entry.files[WEIGHTS], folder.data.name, centre_of(conf))


def recognised(classifier: ClassifierFeatures, framing: Framing, picture: UInt8[Tensor, "3 H W"]) -> int:
    """The likeliest class of a picture of any size.

    Args:
        classifier: of images of one size.
        framing: what it sees of a picture: the middle square, resized.
        picture: to be recognised.
    """
    square = framing.centre(Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()))
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)
    logits_nC = classifier(pixels[None]).logits_nC
    assert logits_nC is not None
    return int(logits_nC[0].argmax())


def _number_of(given: int | str, names: Sequence[str]) -> int:
    """The number of a class that is named by it, or by its name.

    Raises:
        UserError: there is no such class, or several have the name.
    """
    if isinstance(given, int):
        if given >= len(names):
            raise UserError(f"label={given}: there is no such class; there are the classes 0 to {len(names) - 1}")
        return given
    found = [i for i, name in enumerate(names) if name == given]
    found = found or [i for i, name in enumerate(names) if name.casefold() == given.casefold()]
    if len(found) > 1:
        raise UserError(f"label={given} is the name of the classes {found[0]} and {found[1]}: give the number of one")
    if not found:
        close = get_close_matches(given, names, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(
            f"label={given}: there is no such class{hint}; give the name of one, such as {names[0]}, or its number"
        )
    return found[0]


def _always(label: Label) -> Labels:
    return Labels(lambda picture, hole: label, label.number)
