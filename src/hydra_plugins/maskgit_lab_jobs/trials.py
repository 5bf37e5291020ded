"""The sweeper of searches with Optuna: Hydra's way to `maskgit_lab.launch.trials`."""

from __future__ import annotations

from typing import Any

from hydra_plugins.maskgit_lab_jobs.sweeper import JobSweeper


class TrialSweeper(JobSweeper):
    """Carries out `-m hydra/sweeper=optuna`.

    Args:
        settings: the fields of `maskgit_lab.launch.extras.SearchConf`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = settings

    def sweep(self, arguments: list[str]) -> None:
        """Raises a `UserError` if the search cannot start, or too many of its trials fail."""
        from maskgit_lab.launch.trials import Search

        assert self.config is not None and self.hydra_context is not None and self.launcher is not None
        Search(self.config, self.settings).carry_out(arguments, self.launcher, self.hydra_context)
