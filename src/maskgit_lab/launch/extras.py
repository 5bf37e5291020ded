"""The ways to launch jobs that Hydra's plugins offer, and what to install for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from maskgit_lab.errors import UserError, install


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


# Others of Hydra's own and of its plugins, and what to do instead.
INSTEAD: Mapping[str, str] = {
    "hydra/launcher=joblib": "hydra.launcher.n_jobs=N runs N jobs at once with the launcher of this suite",
    "hydra/launcher=basic": "it would run all jobs in one process; leave it out, and each has a process of its own",
    "hydra/sweeper=basic": "leave it out: the default does the same, and runs only what is missing",
}


@dataclass
class SearchConf:
    """`hydra/sweeper=optuna`: the settings of hydra-optuna-sweeper, which proposes the trials, with other defaults."""

    _target_: str = "hydra_plugins.maskgit_lab_jobs.trials.TrialSweeper"
    _recursive_: bool = False
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}])
    sampler: Any = "???"  # without a seed it gets seed 0, so that the same command makes the same trials
    direction: Any = None  # minimize or maximize; null: as optimized_metric is better
    n_trials: Any = 20
    n_jobs: Any = "${oc.select:hydra.launcher.n_jobs,1}"  # trials at once, which do not see each other's results
    max_failure_rate: float = 0.0  # of the trials at once; above it the search ends
    storage: Any = None  # of the study; null: none, since the same command finds what is finished
    study_name: str | None = None
    search_space: Any = None
    custom_search_space: str | None = None
    params: Any = None  # settings and their ranges, as on the command line


def check_chosen(hydra: Any) -> None:
    """Raises a `UserError` for the launcher and the sweeper of Hydra itself, which a config may choose too.

    Args:
        hydra: Hydra's own settings.
    """
    for part in ("launcher", "sweeper"):
        option = hydra.runtime.choices.get(f"hydra/{part}")
        if instead := INSTEAD.get(f"hydra/{part}={option}"):
            raise UserError(f"hydra/{part}={option} is not possible: {instead}")


def check_sweeper(given: Mapping[str, Any]) -> None:
    """Raises a `UserError` for settings of `hydra.sweeper`, of which the sweeper of this suite has none."""
    if given:
        name = next(iter(given))
        instead = "values go into sweep.params of a sweep's file, or after -m" if name == "params" else "leave it out"
        raise UserError(f"hydra.sweeper.{name}: hydra/sweeper=jobs has no such setting: {instead}")


def register() -> None:
    """Makes the search known to Hydra, in place of the plugin's own option of that name."""
    Plugins.instance()  # which registers the plugin's, when it is first asked for
    ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=SearchConf)
