"""The sweeper: Hydra's way to `maskgit_lab.commands.sweeping`."""

from __future__ import annotations

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class JobSweeper(BasicSweeper):
    """Carries out `sweeps=NAME` and `-m`: every combination of settings whose job is not finished.

    It is thin, since Hydra imports every plugin at each start.
    """

    def __init__(self) -> None:
        super().__init__(max_batch_size=None)

    def sweep(self, arguments: list[str]) -> None:
        """Raises a `UserError` at the end if a job has failed."""
        from maskgit_lab.commands.sweeping import Sweep

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        Sweep(self.config, self.hydra_context.config_loader).carry_out(arguments, self.launcher.launch)
