"""Configs: they are made known to Hydra, checked against their schemas, named and flattened.

Each schema is registered as `base_train` and the like; the YAML files in `conf/` fill them in.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.schema.verbs import EvaluateConf, ExportConf, ReportConf, SampleConf, TrainConf

# Settings that say where and how a run is carried out; of these, only the precision belongs to what a run is.
PLACE_KEYS = ("run_dir", "cache_dir", "stage", "logger", "trainer", "sweep", "sweeps", "wait")
SCHEMAS: dict[str, type] = {
    "train": TrainConf,
    "evaluate": EvaluateConf,
    "sample": SampleConf,
    "export": ExportConf,
    "report": ReportConf,
}


def register() -> None:
    """Makes the schemas known to Hydra."""
    for verb, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"base_{verb}", node=schema)


def checked(cfg: DictConfig, schema: type) -> DictConfig:
    """The config if it fits its schema, also where an override with `+` or `~` went past Hydra's own check.

    Raises:
        OmegaConfBaseException: a key is unknown or missing.
    """
    fitted = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.to_container(cfg))
    assert isinstance(fitted, DictConfig)
    plain(fitted)  # raises for what is missing
    return fitted


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
            node = OmegaConf.load(file)
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} cannot be read ({' '.join(str(error).split())}): mend it") from error
        ConfigStore.instance().store(group="sweeps", name=file.stem, node=node, package="_global_")


def plain(node: Any) -> Any:
    """A config as plain dictionaries, lists and numbers, with its interpolations resolved."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def settings(cfg: DictConfig) -> dict[str, Any]:
    """What a run's results depend on: its config without the keys that only say where it runs."""
    values = plain(cfg)
    told = {key: value for key, value in values.items() if key not in PLACE_KEYS}
    return told | {"precision": values["trainer"]["precision"]}


def run_fingerprint(cfg: DictConfig) -> str:
    """The same for the same settings."""
    return fingerprint(settings(cfg))


def schema_keys(schema: type, prefix: str = "") -> list[str]:
    """The dotted keys of a schema, groups included."""
    keys = []
    for name, hint in get_type_hints(schema).items():
        keys.append(f"{prefix}{name}")
        for kind in (hint, *get_args(hint)):
            if is_dataclass(kind) and isinstance(kind, type):
                keys += schema_keys(kind, f"{prefix}{name}.")
    return keys
