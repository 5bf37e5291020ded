"""A search over settings with Optuna: its trials are jobs, and what they return is `optimized_metric`."""

from __future__ import annotations

import logging
import shlex
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from hydra.utils import instantiate
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.evaluation.optimized import is_better_lower
from maskgit_lab.launch.sweeps import OF_SWEEP, name_of_data, reason_of, settings_of, settings_of_jobs
from maskgit_lab.launch.what_is_left import LEFT_BY_SWEEP
from maskgit_lab.usage import as_typed


class Search:
    """The trials of one command.

    Args:
        cfg: composed for the whole search, with Hydra's own settings.
        settings: of Optuna's sweeper.

    Raises:
        UserError: they make no sense.
    """

    def __init__(self, cfg: DictConfig, settings: Mapping[str, Any]) -> None:
        self.cfg = cfg
        self.settings = dict(settings)
        self.key: str = cfg.get("optimized_metric")
        if self.key is None:
            raise UserError("hydra/sweeper=optuna has nothing to optimise: give optimized_metric=KEY, such as nll")
        self.is_lower_better = is_better_lower(self.key)
        self.settings["direction"] = self.settings["direction"] or ("minimize" if self.is_lower_better else "maximize")
        for name in ("n_trials", "n_jobs"):
            if type(number := self.settings[name]) is not int or number < 1:
                raise UserError(f"hydra.sweeper.{name}={number} is not possible: give a whole number of at least 1")
        if self.settings["direction"] not in ("minimize", "maximize"):
            raise UserError("hydra.sweeper.direction is that of one metric: give minimize or maximize, or leave it out")

    def carry_out(self, arguments: Sequence[str], launcher: Launcher, context: HydraContext) -> None:
        """Runs the trials one after the other, or some of them at once.

        Args:
            arguments: overrides of the command line.
            launcher: runs them.
            context: Hydra's.

        Raises:
            UserError: no setting has a range, or too many trials have failed.
        """
        own = [argument for argument in arguments if not OF_SWEEP.match(argument)]
        ranges = [f"{key}={value}" for key, value in (self.settings["params"] or {}).items()]
        overrides = OverridesParser.create().parse_overrides([*ranges, *own])
        searched = [o.get_key_element().lstrip("+~") for o in overrides if o.is_sweep_override()]
        if not searched:
            raise UserError("hydra/sweeper=optuna has nothing to search: give KEY=interval(LOW,HIGH) or KEY=A,B,C")
        removed = [str(override.input_line) for override in overrides if override.is_delete()]
        name = f"optuna-{'-'.join(key.rpartition('.')[2] for key in searched)}"
        same = settings_of_jobs(name, name_of_data(self.cfg), own, searched)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Optuna's sweeper calls in other versions of Optuna
            trials = _Trials(self, launcher, context.config_loader, removed)
            try:
                self._search([*(argument for argument in own if argument not in removed), *same], trials, context)
            except KeyboardInterrupt as stop:
                raise KeyboardInterrupt(LEFT_BY_SWEEP) from stop
        trials.show_best()

    def _search(self, arguments: list[str], trials: Launcher, context: HydraContext) -> None:
        import optuna
        from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl

        optuna.logging.set_verbosity(logging.ERROR)
        try:
            _check_storage(self.settings["storage"])
            sweeper = OptunaSweeperImpl(**{**self.settings, "sampler": _sampler(self.settings["sampler"])})
            sweeper.job_idx, sweeper.launcher = 0, trials
            sweeper.config, sweeper.hydra_context = self.cfg, context
            Path(self.cfg.hydra.sweep.dir).mkdir(
                parents=True, exist_ok=True
            )  # where Optuna's sweeper writes at the end
            sweeper.sweep(arguments)
        except (UserError, HydraException, OmegaConfBaseException, OSError):
            raise
        except Exception as error:  # of all kinds, for ranges and samplers that do not fit
            raise UserError(f"hydra/sweeper=optuna stopped ({first_line(error)}): change what is searched") from error


class _Trials(Launcher):
    """A launcher that shows what comes of each trial.

    Args:
        search: that asks for them.
        launcher: that runs them.
        loader: composes the config of each.
        removed: groups that all of them are without, which Optuna's sweeper would give a value.
    """

    def __init__(self, search: Search, launcher: Launcher, loader: ConfigLoader, removed: Sequence[str]) -> None:
        self.search = search
        self.loader = loader
        self.launcher = launcher
        self.removed = removed
        self.terminal = Terminal()
        self.values = list[tuple[float, Sequence[str]]]()
        self.n_failed = 0

    def setup(self, **_: Any) -> None:
        """Nothing: the launcher behind it is set up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """The trials' values; None, which counts as failed, for those without one."""
        jobs = [[*overrides, *self.removed] for overrides in job_overrides]
        self._check(jobs)
        returned = self.launcher.launch(jobs, initial_job_idx=initial_job_idx)
        reasons = [reason_of(each) for each in returned]
        values = [None if reason else each.return_value for each, reason in zip(returned, reasons, strict=True)]
        for i, (job, value, reason) in enumerate(zip(jobs, values, reasons, strict=True), initial_job_idx + 1):
            came = reason or (f"{self.search.key} = {value:.6g}" if value is not None else "it returned no value")
            self.terminal.note("trial", f"{i} of {self.search.settings['n_trials']}: {came}")
            self.values += [] if value is None else [(value, job)]
        failed = [value for value in values if value is None]
        self.n_failed += len(failed)
        if len(failed) > self.search.settings["max_failure_rate"] * len(jobs):
            which = "a trial" if len(jobs) == 1 else f"{len(failed)} of {len(jobs)} trials"
            raise UserError(
                f"{which} failed, as shown above: fix it and run the same command again, or let some of them fail "
                "with hydra.sweeper.max_failure_rate=1"
            )
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=value) for value in values]

    def _check(self, jobs: Sequence[list[str]]) -> None:
        """Raises a `UserError` for a job that makes no sense, before a process is started for it."""
        settings = [settings_of(self.search.cfg, self.loader, job) for job in jobs]
        from maskgit_lab.launch.finished import is_finished  # imports torch

        for each, job in zip(settings, jobs, strict=True):
            is_finished(each, job)

    def show_best(self) -> None:
        """Prints the best trial, and the command that runs it again.

        Raises:
            UserError: some of the trials have failed, or all of them.
        """
        if not self.values:
            raise UserError("no trial has a value: see above why they failed")
        choose = min if self.search.is_lower_better else max
        value, job = choose(self.values, key=lambda trial: trial[0])
        self.terminal.note("best", f"{self.search.key} = {value:.6g}")
        command = as_typed(f"python {self.search.cfg.hydra.job.name}.py")
        self.terminal.say(f"{'':<10} {command} {shlex.join(job)}")
        if self.n_failed:
            trials = "a trial" if self.n_failed == 1 else f"{self.n_failed} trials"
            raise UserError(
                f"{trials} failed, as shown above; the best is that of the others: run the same command again"
            )


def _sampler(settings: DictConfig) -> Any:
    """Optuna's sampler; without a seed of its own it has seed 0, so that the same command asks for the same trials."""
    seeded = {"seed": 0} if "seed" in settings and settings.seed is None else {}
    return instantiate(settings, **seeded)


def _check_storage(storage: Any) -> None:
    """Raises a `UserError` if the study cannot be kept where it is to be."""
    if storage is None:
        return
    from optuna.storages import get_storage

    try:
        get_storage(storage)
    except Exception as error:  # of all kinds, from databases and their libraries
        raise UserError(
            f"hydra.sweeper.storage={storage} cannot be opened ({first_line(error)}), perhaps since this Optuna needs "
            "SQLAlchemy below 2: leave it out, since the same command finds what is finished"
        ) from error
