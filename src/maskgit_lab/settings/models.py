"""The settings that only one of the two models has: masked tokens filled in T steps, or one token after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from maskgit_lab.errors import UserError
from maskgit_lab.objects import TARGET
from maskgit_lab.settings.commands import AUTOREGRESSIVE, MASKGIT, TrainConf

# Groups that the training of a model does not depend on. Runs of MaskGIT are known as before there was another model.
OF_MODEL = {MASKGIT: ("model", "autoregressive"), AUTOREGRESSIVE: ("mvtm", "schedule")}
AUTOREGRESSIVE_DECODER = "maskgit_lab.decoding.autoregressive.Autoregressive"
OF_STEPS = ("steps", "schedule", "choice_temperature")  # of the group `decode`, for decoding in T steps
# What a command line may give for one model alone, and what that is.
ALONE = {
    MASKGIT: (
        (re.compile(r"schedule(\..+)?"), "mask schedule"),
        (re.compile(rf"(decode\.({'|'.join(OF_STEPS)})|eval\.(steps|picture_steps))"), "decoding in T steps"),
        (re.compile(r"mvtm\.(min_masking_rate|loss_on)"), "masks"),
    ),
    AUTOREGRESSIVE: (
        (re.compile(r"(order|autoregressive\.order)(\..+)?"), "order of the tokens"),
        (re.compile(r"autoregressive(\..+)?"), "autoregressive transformer"),
    ),
}


def fitted_to_model(settings: TrainConf) -> None:
    """Takes out of an experiment for MaskGIT what an autoregressive model does not have: T, and what goes with it.

    Callbacks that monitor the training of one monitor that of the other.
    """
    settings.decode = {key: value for key, value in settings.decode.items() if key not in OF_STEPS}
    for name, node in settings.callbacks.items():
        if isinstance(node, Mapping) and str(node.get("monitor")).startswith("mvtm/"):
            monitor = str(node["monitor"]).replace("mvtm/", "autoregressive/", 1)
            settings.callbacks[name] = {**node, "monitor": monitor}


def check_overrides(overrides: Sequence[str], model: str) -> None:
    """Raises a `UserError` for an override of a command line that does not apply to a model."""
    for override in overrides:
        if (what := _of_another(override, model)) is not None:
            raise UserError(f"{override} does not apply to model={model}, which has no {what}: leave it out")


def without_others(overrides: Sequence[str], model: str) -> list[str]:
    """The overrides that have a meaning for a model: in a sweep over models, some are for one of them alone."""
    return [override for override in overrides if _of_another(override, model) is None]


def check_decoding(decode: Mapping[str, Any], *, autoregressive: bool) -> None:
    """Raises a `UserError` for given settings of the group `decode` that a trained model does not have."""
    is_another = decode.get(TARGET, AUTOREGRESSIVE_DECODER) != AUTOREGRESSIVE_DECODER  # which has an error of its own
    if not autoregressive or is_another:
        return
    for key in OF_STEPS:
        if (value := decode.get(key)) is not None:
            text = f"[{','.join(map(str, value))}]" if isinstance(value, list) else value
            raise UserError(
                f"decode.{key}={text} is for models that fill masked tokens in T steps, and this one is "
                "autoregressive: leave it out"
            )


def _of_another(override: str, model: str) -> str | None:
    """What an override is about, if only another model has that."""
    key = re.split(r"[=@]", override.lstrip("+~"), maxsplit=1)[0]
    others = [pair for other, pairs in ALONE.items() if other != model for pair in pairs]
    return next((what for pattern, what in others if pattern.fullmatch(key)), None)
