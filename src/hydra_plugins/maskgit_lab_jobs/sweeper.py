"""The sweeper: Hydra's way to `maskgit_lab.launch.sweeps`."""

from __future__ import annotations

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class JobSweeper(Sweeper):
    """Carries out `sweeps=NAME` and `-m`: every combination of settings whose job is not finished.

    It is thin, since Hydra imports every plugin at each start.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Raises a `UserError` at the end if a job has failed."""
        from maskgit_lab.launch.sweeps import Sweep

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        Sweep(self.config, self.hydra_context.config_loader).carry_out(arguments, self.launcher.launch)
