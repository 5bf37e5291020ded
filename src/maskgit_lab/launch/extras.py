"""The ways to launch jobs that Hydra's plugins offer, and what to install for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from maskgit_lab.errors import install


@dataclass(frozen=True)
class Extra:
    """A plugin that an extra of this package installs."""

    name: str
    module: str

    @property
    def is_installed(self) -> bool:
        """Whether Hydra finds the plugin."""
        return find_spec(self.module) is not None

    @property
    def command(self) -> str:
        """What installs it."""
        return install(self.name)


# The options of Hydra's own groups that work here; None: they need no extra.
OPTIONS: Mapping[str, Mapping[str, Extra | None]] = {
    "hydra/launcher": {
        "local": None,
        "slurm": Extra("slurm", "hydra_plugins.hydra_submitit_launcher"),
        "ray": Extra("ray", "hydra_plugins.hydra_ray_launcher"),
    },
    "hydra/sweeper": {"jobs": None, "optuna": Extra("optuna", "hydra_plugins.hydra_optuna_sweeper")},
}
