"""Settings from plain values and back: checked, replaced by others, and named by a fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.metrics import registry
from maskgit_lab.objects import PARTIAL, TARGET
from maskgit_lab.paths import shown, with_paths
from maskgit_lab.settings.callbacks import counted_callbacks
from maskgit_lab.settings.commands import AUTOREGRESSIVE, CommonConf, TrainConf
from maskgit_lab.settings.fields import MISSING, check_steps
from maskgit_lab.settings.flags import counted, limits
from maskgit_lab.settings.models import OF_MODEL, fitted_to_model

S = TypeVar("S")

# Settings of where and how a run is carried out; of these, only the precision belongs to what a run is. The devices
# share the batch among them, and a run may go on with others.
PLACES = (
    *("name", "run_dir", "cache_dir", "stage", "logger", "trainer", "sweep", "sweeps", "wait", "rerun", "reuse"),
    "optimized_metric",
)
# Settings of what is measured, and how: columns of a run's rows.
EVALUATION = ("decode", "features", "classifier", "cas", "eval")

# What to give where a value is of another type, by pydantic's names of the errors.
WANTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "give a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "give a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "give true or false"),
    "finite_number": "give a finite number",
    "string_type": "give a text",
    "list_type": "give a list, such as KEY=[1,2]",
    **dict.fromkeys(("dict_type", "dataclass_type"), "give its settings, each as KEY.NAME=VALUE"),
}


def checked(schema: type[S], values: Mapping[str, Any]) -> S:
    """Settings from plain values.

    Raises:
        UserError: a value is unknown, missing, of another type, or not allowed; the sentence names its key.
    """
    try:
        made: S = TypeAdapter(schema).validate_python(with_paths(values, TARGET))
    except ValidationError as error:
        raise UserError(_sentence(error)) from error
    if isinstance(made, CommonConf):
        _check_decode(made)
        if isinstance(made, TrainConf) and made.model == AUTOREGRESSIVE:
            fitted_to_model(made)
        made.debug = made.debug or limits(made.trainer.flags)
    return made


def plain(settings: Any) -> dict[str, Any]:
    """Settings as plain dictionaries, lists and numbers, which `checked` takes in any process."""
    values = asdict(settings)
    if isinstance(settings, CommonConf):
        values["eval"]["metrics"] = registry.as_given(values["eval"]["metrics"])
    return values


def of_today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of `train.py` as earlier versions recorded them, with the names of today."""
    found = dict(values)
    for group in ("mvtm", "tokenizer", "classifier", "cas"):
        optim = (found.get(group) or {}).get("optim")
        if isinstance(optim, Mapping) and "betas" in optim:
            rest = {key: value for key, value in optim.items() if key != "betas"}
            adamw = {TARGET: "torch.optim.AdamW", PARTIAL: True, "betas": optim["betas"]}
            found[group] = {**found[group], "optim": {**rest, "optimizer": adamw}}
    if isinstance(tokenizer := found.get("tokenizer"), Mapping) and isinstance(tokenizer.get("perceptual"), str):
        found["tokenizer"] = _with_perceptual_of_today(tokenizer)
    return found


def _with_perceptual_of_today(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a tokenizer whose perceptual loss has a name; the class of that time is gone."""
    name, losses = tokenizer["perceptual"], dict(tokenizer.get("losses") or {})
    if name == "none":
        return {**tokenizer, "perceptual": {TARGET: None}, "losses": {**losses, "perceptual": 0.0}}
    return {**tokenizer, "perceptual": {TARGET: "maskgit_lab.objectives.perceptual.PerceptualLoss", "network": name}}


def replaced(base: CommonConf, schema: type[S], given: Mapping[str, Any]) -> S:
    """Settings with some of them replaced.

    A group that names another object (`_target_`) replaces all of it, but for T and schedule of decoding.

    Raises:
        UserError: a value is not allowed, or settings are given of a group that has none to be changed.
    """
    made = checked(schema, _laid_over(plain(base), given))
    for key, value in given.items():
        if isinstance(value, Mapping) and value:
            _check_whole(key, plain(made)[key], value)
    return made


def training(settings: TrainConf) -> dict[str, Any]:
    """What the weights of a run depend on: its settings, except those of places and of the evaluation."""
    values = plain(settings)
    others = OF_MODEL[settings.model]
    kept = {key: value for key, value in values.items() if key not in (*PLACES, *EVALUATION, *others)}
    return kept | {"precision": values["trainer"]["precision"], **added_to_training(settings)}


def added_to_training(settings: TrainConf) -> dict[str, Any]:
    """Flags of the trainer and callbacks that can change weights, with what these depend on."""
    callbacks = counted_callbacks(settings.callbacks)
    validated = {"validate_every_epochs": settings.trainer.validate_every_epochs} if callbacks else {}
    return {"flags": counted(settings.trainer.flags), "callbacks": callbacks, **validated}


def run_fingerprint(settings: TrainConf) -> str:
    """The same for runs that train the same."""
    return fingerprint(training(settings))


def evaluation_fingerprint(settings: TrainConf) -> str:
    """The same for commands that measure the same of a run, and as far."""
    values = plain(settings)
    kept = {key: values[key] for key in (*EVALUATION, "stage")}
    return fingerprint(kept | {"precision": values["trainer"]["precision"]})


def _laid_over(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in given.items():
        before = merged.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and not _is_another(value):
            merged[key] = _laid_over(before, value)
        elif isinstance(value, Mapping) and key == "decode" and isinstance(before, Mapping):
            kept = {name: before[name] for name in ("steps", "schedule") if value.get(name) is None and name in before}
            merged[key] = {**value, **kept}
        else:
            merged[key] = value
    return merged


def _check_whole(key: str, group: Any, given: Mapping[str, Any]) -> None:
    """Raises a `UserError` for a group that only a few settings were given of, and that has no others."""
    lacks_target = key == "data" and TARGET not in group
    if lacks_target or (isinstance(group, Mapping) and MISSING in group.values()):
        raise UserError(f"{key}.{next(iter(given))} changes settings of {key}, and there are none: give {key}=NAME too")


def _is_another(group: Mapping[str, Any]) -> bool:
    net = group.get("net")
    return TARGET in group or (isinstance(net, Mapping) and TARGET in net)


def _check_decode(settings: CommonConf) -> None:
    """T has two names in `train.py`; both are checked here."""
    if settings.eval.steps is not None:
        settings.decode = {**settings.decode, "steps": settings.eval.steps}
        settings.eval.steps = None
    steps = settings.decode.get("steps")
    if steps is None:
        return
    if not isinstance(steps, list):
        raise UserError(f"decode.steps takes a list: write it as decode.steps=[{steps}]")
    try:
        check_steps(steps)
    except ValueError as error:
        raise UserError(f"decode.steps={shown(steps)} is not possible: {error}") from error


def _sentence(error: ValidationError) -> str:
    """The first error as a sentence."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if isinstance(part, str) and not part.startswith("function-"))
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{key}: there is no such setting"
    if first["type"].startswith("missing"):
        return f"{key} is needed: give it as {key}=VALUE"
    if first["type"] == "list_type" and type(first["input"]) in (bool, int, float, str):
        return f"{key} takes a list: write it as {key}=[{shown(first['input'])}]"
    own = first.get("ctx", {}).get("error")
    advice = str(own) if own else WANTED.get(first["type"]) or first["msg"][:1].lower() + first["msg"][1:]
    return f"{key}={shown(first['input'])} is not possible: {advice.replace('KEY', key)}"
