"""The door between Hydra and the suite: configs are made known to Hydra, and what it composes becomes typed settings.

Each schema is registered as `base_train` and the like; the YAML files in `conf/` fill them in. A `DictConfig` goes no
further than this module, `launch` and Hydra's plugins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from maskgit_lab.errors import UserError
from maskgit_lab.paths import check_regular
from maskgit_lab.settings import (
    AutoregressiveConf,
    CleanConf,
    EditConf,
    EvaluateConf,
    ExportConf,
    Hardware,
    Optim,
    ReportConf,
    SampleConf,
    TrainConf,
    checked,
)
from maskgit_lab.settings.flags import with_flags

S = TypeVar("S")
SCHEMAS: dict[str, type] = {
    "train": TrainConf,
    "evaluate": EvaluateConf,
    "sample": SampleConf,
    "edit": EditConf,
    "export": ExportConf,
    "report": ReportConf,
    "clean": CleanConf,
}


def register(verb: str) -> None:
    """Makes the schema of a command known to Hydra."""
    ConfigStore.instance().store(name=f"base_{verb}", node=_open_groups(SCHEMAS[verb]))


def typed(cfg: DictConfig, schema: type[S], overrides: Sequence[str] = ()) -> S:
    """A composed config as settings, also where an override with `+` or `~` went past Hydra's own check.

    Args:
        cfg: the config.
        schema: the dataclass of its settings.
        overrides: that it was composed from. A group that they take out is null, also where another sets a part of it.

    Raises:
        OmegaConfBaseException: a key is unknown or missing.
        UserError: a value is not allowed.
    """
    composed: Any = OmegaConf.to_container(cfg, resolve=True)
    taken_out = {override[1:].partition("=")[0] for override in overrides if override.startswith("~")}
    nullable = {name for name, hint in get_type_hints(schema).items() if type(None) in get_args(hint)}
    composed |= dict.fromkeys(taken_out & nullable)
    fitted = OmegaConf.merge(_open_groups(cast(type, schema)), composed)
    values: Any = OmegaConf.to_container(fitted, resolve=True, throw_on_missing=True)
    if schema is TrainConf:
        values["trainer"] = with_flags(values["trainer"], [field.name for field in fields(Hardware)])
    return checked(schema, values)


def without_hydra(cfg: DictConfig) -> DictConfig:
    """A composed config without Hydra's own settings."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def register_sweeps(folder: Path) -> None:
    """Makes the files of a folder known to Hydra as the options of `sweeps=`.

    Raises:
        UserError: one of them cannot be read.
    """
    for file in sorted(folder.glob("*.yaml")):
        try:
            check_regular(file)
            node = OmegaConf.load(file)
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} cannot be read ({' '.join(str(error).split())}): fix it") from error
        if not isinstance(node, DictConfig):
            raise UserError(f"{file} has no settings: write lines of the form KEY: VALUE")
        ConfigStore.instance().store(group="sweeps", name=file.stem, node=node, package="_global_")


def schema_keys(schema: type, prefix: str = "") -> list[str]:
    """The dotted keys of a schema, groups included; those of a group that takes any key are the ones of `train.py`."""
    keys, whole = [], get_type_hints(TrainConf)
    for name, hint in get_type_hints(schema).items():
        keys.append(f"{prefix}{name}")
        hint = whole.get(name, hint) if _is_open(schema, hint) else hint
        for kind in (hint, *get_args(hint)):
            if is_dataclass(kind) and isinstance(kind, type):
                keys += schema_keys(kind, f"{prefix}{name}.")
    return keys


@cache
def _open_groups(schema: type) -> Any:
    """A schema for Hydra, which makes copies of it.

    Groups of `evaluate.py`, `sample.py` and `edit.py` that replace a run's own take any key. What is given in them is
    checked once it is known what it replaces. `trainer` of `train.py` takes any flag of lightning.Trainer, which
    `Hardware` checks, and an optimizer, a schedule or a perceptual loss the settings of its class.
    """
    node = OmegaConf.structured(schema)
    if schema is TrainConf:
        OmegaConf.set_struct(node["trainer"], False)
        node["autoregressive"] = OmegaConf.structured(AutoregressiveConf)
        for group in ("mvtm", "autoregressive", "tokenizer"):
            node[group]["optim"] = OmegaConf.structured(Optim)
            for name in ("optimizer", "scheduler"):
                OmegaConf.set_struct(node[group]["optim"][name], False)
        OmegaConf.set_struct(node["tokenizer"]["perceptual"], False)
    for name, hint in get_type_hints(schema).items():
        if _is_open(schema, hint):
            OmegaConf.set_struct(node[name], False)
    return node


def _is_open(schema: type, hint: Any) -> bool:
    return hint == dict[str, Any] and schema in (EditConf, EvaluateConf, SampleConf)
