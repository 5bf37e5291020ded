"""Makes Hydra compose each choice of configs once: that takes a third of a second, and most tests change values alone.

What the chosen options lead to is kept, and every command gets a copy, to which Hydra applies the other overrides.
Configs that a test may write itself are composed anew: those in its working folder.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hydra
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.defaults_list import Overrides
from hydra._internal.hydra import Hydra

from maskgit_lab import config, usage

MODE_OF = Hydra.get_mode
LIST = config_loader_impl.create_defaults_list
LOAD = ConfigRepository.load_config
COMPOSE = ConfigLoaderImpl._compose_config_from_defaults_list
REGISTER = config.register_sweeps
LISTS: dict[str, Any] = {}
COMPOSED: dict[str, bytes] = {}
LOADED: dict[str, bytes] = {}
REGISTERED: list[Path] = []  # folders of sweeps; the files of the last one take the places of others


@contextmanager
def once() -> Iterator[None]:
    """Within it, Hydra composes each choice of the suite's own configs once."""
    with ExitStack() as patches:
        for place, name, by in (
            (Hydra, "get_mode", _mode_of),
            (config_loader_impl, "create_defaults_list", _list),
            (ConfigRepository, "load_config", _load),
            (ConfigLoaderImpl, "_compose_config_from_defaults_list", _compose),
            (config, "register_sweeps", _register),
        ):
            by.__code__ = by.__code__.replace(co_filename=hydra.__file__)  # it is no code of a user's
            patches.enter_context(patch.object(place, name, by))
        yield


def _mode_of(self: Hydra, config_name: str | None, overrides: list[str]) -> Any:
    """Hydra composes a config another time before, to see whether it sets `hydra.mode`, as sweeps may."""
    is_set = not _is_own(overrides) or any(override.startswith("hydra") for override in overrides)
    return MODE_OF(self, config_name, overrides) if is_set else None


def _list(repo: Any, config_name: str, overrides_list: list[Any], **how: bool) -> Any:
    if not _is_own([override.input_line for override in overrides_list]):
        return LIST(repo, config_name, overrides_list, **how)
    given = Overrides(repo, overrides_list)
    key = repr((config_name, given.override_choices, given.append_group_defaults, given.deletions, how))
    if key not in LISTS:
        LISTS[key] = LIST(repo, config_name, overrides_list, **how)
    return replace(LISTS[key], config_overrides=given.config_overrides)


def _compose(self: ConfigLoaderImpl, defaults: list[Any], repo: Any) -> Any:
    if not _is_own([str(default.config_path) for default in defaults]):
        return COMPOSE(self, defaults, repo)
    key = repr((defaults, repo.get_sources()))
    if key not in COMPOSED:
        COMPOSED[key] = pickle.dumps(COMPOSE(self, defaults, repo))
    return pickle.loads(COMPOSED[key])


def _load(self: ConfigRepository, config_path: str) -> Any:
    if not _is_own([config_path]):
        return LOAD(self, config_path)
    key = repr((config_path, self.get_sources()))
    if key not in LOADED:
        LOADED[key] = pickle.dumps(LOAD(self, config_path))
    return pickle.loads(LOADED[key])


def _register(folder: Path) -> None:
    if REGISTERED[-1:] == [folder] == [usage.configs() / "sweeps"]:
        return
    REGISTER(folder)
    if any(folder.glob("*.yaml")):
        REGISTERED.append(folder)


def _is_own(names: Sequence[str]) -> bool:
    """Whether overrides, or paths of configs, lead to no config but the suite's own."""
    return not Path("conf").is_dir() and not any(name.lstrip("+~").startswith("sweeps") for name in names)
