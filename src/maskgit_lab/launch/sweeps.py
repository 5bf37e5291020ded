"""A sweep: which jobs it has, which of them are missing, and which have failed."""

from __future__ import annotations

import itertools
import math
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, read_write

from maskgit_lab import config
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.launch.checkpoints import trained_runs
from maskgit_lab.launch.claims import claims
from maskgit_lab.launch.values import choices_of, values_of, written
from maskgit_lab.launch.what_is_left import LEFT_BY_SWEEP
from maskgit_lab.objects import locate
from maskgit_lab.paths import path_of
from maskgit_lab.runs.codes import Stale
from maskgit_lab.runs.naming import data_name
from maskgit_lab.settings import SweepConf, TrainConf, check_overrides, run_fingerprint, without_others
from maskgit_lab.sizes import MOST_JOBS
from maskgit_lab.usage import as_typed

Launch = Callable[[Sequence[Sequence[str]], int], Sequence[JobReturn]]

SWEEP_DIR = "hydra.sweep.dir"  # of its logs
OF_SWEEP = re.compile(r"[+~]*(sweeps|sweep)\b")


@dataclass(frozen=True)
class _Job:
    overrides: list[str]
    settings: Any
    complete: bool

    @property
    def key(self) -> str:
        """The same for the same job of another sweep."""
        return fingerprint({"job": self.overrides})


class Sweep:
    """The jobs of one command.

    Args:
        cfg: composed for the whole sweep, with Hydra's own settings.
        loader: composes the config of a job.

    Raises:
        UserError: the sweep is for another command.
    """

    def __init__(self, cfg: DictConfig, loader: ConfigLoader) -> None:
        self.cfg = cfg
        self.loader = loader
        self.verb: str = cfg.hydra.job.name
        self.terminal = Terminal()
        self.conf = config.typed(cfg.sweep, SweepConf)
        if self.conf.verb not in (None, self.verb):
            verb, name = self.conf.verb, self.conf.name
            raise UserError(f"sweeps={name} is for {verb}.py: give python {verb}.py sweeps={name}")

    def carry_out(self, arguments: Sequence[str], launch: Launch) -> None:
        """Launches the jobs that are not finished.

        Args:
            arguments: overrides of the command line.
            launch: runs jobs and returns what came of them.

        Raises:
            UserError: a job makes no sense, before any is launched; or some have failed, after the others.
        """
        jobs = self._jobs(arguments)
        missing = [job for job in jobs if not job.complete]
        self.terminal.note("sweep", f"{_counted(len(jobs))}, {len(jobs) - len(missing)} of them finished before")
        try:
            failed, left = self._launch_free(missing, launch)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(LEFT_BY_SWEEP) from stop
        for overrides, reason in failed:
            command = as_typed(f"python {self.verb}.py")
            print(f"failed     {reason}\n           {command} {shlex.join(overrides)}", file=sys.stderr)
        if failed:
            others = "" if len(failed) == len(jobs) else " and the others are finished"
            which = "the job" if len(jobs) == 1 else f"{len(failed)} of {len(jobs)} jobs"
            raise UserError(
                f"{which} failed{others}: fix what is shown above, and run the same command again, which runs only "
                "what is missing"
            )
        if left:
            self.terminal.note("sweep", f"{len(left)} of {len(jobs)} jobs are left to the commands that work on them")
            return
        self.terminal.note("sweep", "the job is finished" if len(jobs) == 1 else f"all {len(jobs)} jobs are finished")
        if self.conf.then is not None:
            locate(self.conf.then, "sweep.then")([job.settings for job in jobs])

    def _launch_free(self, missing: list[_Job], launch: Launch) -> tuple[list[tuple[list[str], str]], list[_Job]]:
        """Launches the jobs that no other command works on, and those that it has not finished when it ends.

        Returns:
            The overrides of the jobs that failed with the reasons, and the jobs that others still work on.
        """
        from maskgit_lab.launch.finished import is_finished, is_running  # imports torch

        failed, left = list[tuple[list[str], str]](), missing
        if not left:
            return failed, left
        with claims(Path(self.cfg.hydra.sweep.dir)) as own:
            while True:
                free = own.claim([job.key for job in left if not is_running(job.settings)])
                todo = [job for job in left if job.key in free]
                left = [job for job in left if job.key not in free]
                if not todo:
                    return failed, left
                self._note_others(todo, left)
                reasons = self._launch([job.overrides for job in todo], launch)
                failed += [(job.overrides, why) for job, why in zip(todo, reasons, strict=True) if why is not None]
                left = [job for job in left if not is_finished(job.settings, job.overrides)]

    def _note_others(self, todo: list[_Job], left: list[_Job]) -> None:
        """What a user may want to stop for, before anything is launched."""
        from maskgit_lab.launch.finished import is_cold

        if left:
            text = f"other commands work on {len(left)} of the jobs, which are not launched again"
            self.terminal.note("sweep", text)
        if len(todo) > 1 and self.cfg.hydra.launcher.get("n_jobs") != 1 and is_cold(todo[0].settings):
            command = as_typed(f"python {self.verb}.py {shlex.join([*todo[0].overrides, 'stage=tokens'])}")
            text = (
                "one of the jobs trains the tokenizer and encodes the images, while those that start with it wait and "
                f"hold their devices: to avoid this, first run `{command}`"
            )
            self.terminal.note("cache", text)

    def _jobs(self, arguments: Sequence[str]) -> list[_Job]:
        """Every combination, with what is the same for all; each is composed and checked."""
        own = [argument for argument in arguments if not OF_SWEEP.match(argument)]
        lines = [f"{key}={choices_of(key, value)}" for key, value in self._params().items()] + own
        overrides = OverridesParser.create(config_loader=self.loader).parse_overrides(lines)
        swept = [o.get_key_element().lstrip("+~") for o in overrides if o.is_sweep_override()]
        choices = {override.get_key_element(): values_of(override) for override in overrides}  # the last of each key
        same = settings_of_jobs(self.conf.name, name_of_data(self.cfg), own, swept)
        if math.prod(map(len, choices.values())) > MOST_JOBS:
            raise UserError(f"a sweep has at most {MOST_JOBS:,} jobs, and these are more: give fewer values at once")
        lines_of_jobs = [[*combination, *same] for combination in itertools.product(*choices.values())]
        if "model" in swept:  # some settings are for one model alone, of which the others need no second job
            lines_of_jobs = _distinct(without_others(line, _model_of(line)) for line in lines_of_jobs)
        settings = [settings_of(self.cfg, self.loader, line) for line in lines_of_jobs]
        _check_folders(settings)
        from maskgit_lab.launch.finished import is_finished  # imports torch: mistakes in settings come before

        jobs, faults = list[_Job](), list[Stale]()
        for line, conf in zip(lines_of_jobs, settings, strict=True):
            try:
                jobs.append(_Job(line, conf, is_finished(conf, line)))
            except Stale as fault:
                faults.append(fault)
        if faults:
            files = ", ".join(dict.fromkeys(fault.files for fault in faults))
            raise Stale(f"{len(faults)} of the {len(lines_of_jobs)} jobs were done", files, "do them again")
        return jobs

    def _params(self) -> dict[str, Any]:
        params = self.conf.params
        if self.conf.runs is None:
            return params
        return params | {"checkpoint": trained_runs(Path(self.conf.runs), self.conf)}

    def _launch(self, todo: Sequence[list[str]], launch: Launch) -> list[str | None]:
        try:
            return [reason_of(returned) for returned in launch(todo, 0)]
        except (UserError, OSError):
            raise
        except Exception as error:  # of all kinds, such as for schedulers that do not answer
            name = self.cfg.hydra.runtime.choices["hydra/launcher"]
            raise UserError(
                f"hydra/launcher={name} could not run the jobs ({first_line(error)}): check the scheduler, or "
                "leave it out to run them here; the same command runs what is missing"
            ) from error


def _counted(n: int) -> str:
    return "1 job" if n == 1 else f"{n} jobs"


def _model_of(overrides: Sequence[str]) -> str:
    return next(override.partition("=")[2] for override in overrides if override.lstrip("+").startswith("model="))


def _check_folders(settings: Sequence[Any]) -> None:
    """Raises a `UserError` for different runs in one folder, of which all but the first would fail, hours later."""
    runs = dict[str, str]()
    for conf in settings:
        if not isinstance(conf, TrainConf) or conf.run_dir is None:
            continue
        if runs.setdefault(conf.run_dir, own := run_fingerprint(conf)) != own:
            raise UserError(f"run_dir={conf.run_dir} is one folder of several different runs: leave run_dir out")


def _distinct(lines: Iterable[list[str]]) -> list[list[str]]:
    return [list(line) for line in dict.fromkeys(map(tuple, lines))]


def settings_of(cfg: DictConfig, loader: ConfigLoader, overrides: list[str]) -> Any:
    """The settings of a job of a sweep.

    Args:
        cfg: of the sweep.
        loader: composes configs.
        overrides: of the job.

    Raises:
        UserError: a value is not allowed.
    """
    job = loader.load_sweep_config(cfg, overrides)
    settings: Any = config.typed(config.without_hydra(job), config.SCHEMAS[cfg.hydra.job.name], overrides)
    if isinstance(settings, TrainConf):
        check_overrides(overrides, settings.model)
    return settings


def settings_of_jobs(name: str | None, data: str | None, own: Sequence[str], swept: Sequence[str]) -> list[str]:
    """What all jobs of a sweep have: one that another sweep runs is waited for, and they are a group in W&B.

    Args:
        name: of the sweep; None: after what is swept.
        data: what the runs are on.
        own: overrides of the command line, which go over these.
        swept: keys of the settings that differ between the jobs.
    """
    given = {argument.partition("=")[0] for argument in own}
    name = name or "-".join(key.rpartition(".")[2] for key in swept) or "sweep"
    wanted = {"wait": "true", "logger.group": name if data is None else f"{name}-{data}"}
    return [f"{key}={value}" for key, value in wanted.items() if key not in given]


def expand_sweep_dir(cfg: DictConfig) -> None:
    """Makes the folder of a sweep's logs a path like all others, for the sweep and for its jobs.

    Raises:
        UserError: it is not possible.
    """
    given, hydra = str(cfg.hydra.sweep.dir), cfg.hydra
    if (folder := str(path_of(given, SWEEP_DIR))) == given:
        return
    with read_write(hydra):
        hydra.sweep.dir = folder
        hydra.overrides.hydra = [
            f"{SWEEP_DIR}={written(folder)}" if override.partition("=")[0] == SWEEP_DIR else override
            for override in hydra.overrides.hydra
        ]


def name_of_data(cfg: DictConfig) -> str | None:
    """What the runs of a sweep are on, in one word."""
    return cfg.get("name") or (data_name(cfg.data) if cfg.get("data") else None)


def reason_of(returned: JobReturn) -> str | None:
    """Why a job has failed, or None if it has not."""
    if returned.status == JobStatus.COMPLETED:
        return None
    error = returned._return_value  # what `return_value` would print and raise
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
