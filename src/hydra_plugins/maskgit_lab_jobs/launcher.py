"""The launcher of this machine: Hydra's way to `maskgit_lab.launch.local`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """Runs each job as the command that a user would type, so that it may start processes itself (DDP).

    Args:
        n_jobs: at once.
        threads: CPU threads of each process of a job; null: the cores, shared among the processes that run at once.
        gpus: of each job; null: one for each of its devices. Jobs that find no free one share them.
    """

    def __init__(self, n_jobs: int, threads: int | None, gpus: int | None) -> None:
        self.n_jobs = n_jobs
        self.threads = threads
        self.gpus = gpus

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Raises a `UserError` where a config has chosen a sweeper that takes a failed job for a finished one."""
        from maskgit_lab.launch.extras import check_chosen

        check_chosen(config.hydra)
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """The return value of a job is its `optimized_metric`, None without one, or a `UserError` if it has failed."""
        from maskgit_lab.errors import UserError
        from maskgit_lab.launch.local import LocalJobs, share_machine

        trainer = self.config.trainer
        slots = share_machine(self.n_jobs, self.threads, self.gpus, trainer.devices, trainer.accelerator)
        command = ["maskgit_lab", self.config.hydra.job.name]
        jobs = LocalJobs(command, slots, Path(self.config.hydra.sweep.dir))
        reasons = jobs.run([list(overrides) for overrides in job_overrides])
        is_search = self.config.get("optimized_metric") is not None
        return [
            JobReturn(status=JobStatus.COMPLETED, _return_value=jobs.value(overrides) if is_search else None)
            if reason is None
            else JobReturn(status=JobStatus.FAILED, _return_value=UserError(reason))
            for overrides, reason in zip(job_overrides, reasons, strict=True)
        ]
