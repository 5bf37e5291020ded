"""The sweeper: Hydra's way to `maskgit_lab.launch.sweeps`."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class JobSweeper(Sweeper):
    """Carries out `sweeps=NAME` and `-m`: every combination of settings whose job is not finished.

    It is thin, since Hydra imports every plugin at each start.
    """

    def __init__(self, **given: Any) -> None:
        self.given = given  # of hydra.sweeper, where this sweeper has no settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises a `UserError` for a launcher that cannot run these jobs, or a setting that is not possible."""
        from maskgit_lab.launch.extras import check_chosen, check_sweeper
        from maskgit_lab.launch.sweeps import expand_sweep_dir

        check_chosen(config.hydra)
        check_sweeper(self.given)
        expand_sweep_dir(config)
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Raises a `UserError` at the end if a job has failed."""
        from maskgit_lab.launch.sweeps import Sweep

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        Sweep(self.config, self.hydra_context.config_loader).carry_out(arguments, self.launcher.launch)
