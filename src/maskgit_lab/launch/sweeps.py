"""A sweep: which jobs it has, which of them are missing, and which have failed."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from maskgit_lab import config
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.objects import locate
from maskgit_lab.runs.codes import Stale
from maskgit_lab.runs.finding import run_folders
from maskgit_lab.runs.names import RECORD
from maskgit_lab.runs.naming import data_name
from maskgit_lab.settings import SweepConf, TrainConf, check_overrides, without_others
from maskgit_lab.usage import as_typed

Launch = Callable[[Sequence[Sequence[str]], int], Sequence[JobReturn]]

OF_SWEEP = re.compile(r"[+~]*(sweeps|sweep)\b")
SIMPLE = re.compile(r"[\w./-]+")  # values that Hydra reads as they are


@dataclass(frozen=True)
class _Job:
    overrides: list[str]
    settings: Any
    complete: bool


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
        todo = [job.overrides for job in jobs if not job.complete]
        self.terminal.note("sweep", f"{len(jobs)} jobs, {len(jobs) - len(todo)} of them finished before")
        reasons = self._launch(todo, launch) if todo else []
        failed = [(job, reason) for job, reason in zip(todo, reasons, strict=True) if reason is not None]
        for overrides, reason in failed:
            command = as_typed(f"python {self.verb}.py")
            print(f"failed     {reason}\n           {command} {shlex.join(overrides)}", file=sys.stderr)
        if failed:
            raise UserError(
                f"{len(failed)} of {len(jobs)} jobs failed and the others are finished: fix what is shown above, and "
                "give the same command again, which runs only what is missing"
            )
        self.terminal.note("sweep", f"all {len(jobs)} jobs are finished")
        if self.conf.then is not None:
            locate(self.conf.then, "sweep.then")([job.settings for job in jobs])

    def _jobs(self, arguments: Sequence[str]) -> list[_Job]:
        """Every combination, with what is the same for all; each is composed and checked."""
        own = [argument for argument in arguments if not OF_SWEEP.match(argument)]
        lines = [f"{key}={_choices(key, value)}" for key, value in self._params().items()] + own
        overrides = OverridesParser.create(config_loader=self.loader).parse_overrides(lines)
        swept = [o.get_key_element().lstrip("+~") for o in overrides if o.is_sweep_override()]
        choices = {override.get_key_element(): _values_of(override) for override in overrides}  # the last of each key
        same = settings_of_jobs(self.conf.name, name_of_data(self.cfg), own, swept)
        lines_of_jobs = [[*combination, *same] for combination in itertools.product(*choices.values())]
        if "model" in swept:  # some settings are for one model alone, of which the others need no second job
            lines_of_jobs = _distinct(without_others(line, _model_of(line)) for line in lines_of_jobs)
        settings = [settings_of(self.cfg, self.loader, line) for line in lines_of_jobs]
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
        return params | {"checkpoint": _trained_runs(Path(self.conf.runs), self.conf)}

    def _launch(self, todo: Sequence[list[str]], launch: Launch) -> list[str | None]:
        try:
            return [reason_of(returned) for returned in launch(todo, 0)]
        except (UserError, OSError):
            raise
        except Exception as error:  # of all kinds, such as for schedulers that do not answer
            name = self.cfg.hydra.runtime.choices["hydra/launcher"]
            raise UserError(
                f"hydra/launcher={name} did not carry out the jobs ({first_line(error)}): see to the scheduler, or "
                "leave it out to run them here; the same command runs what is missing"
            ) from error


def _model_of(overrides: Sequence[str]) -> str:
    return next(override.partition("=")[2] for override in overrides if override.lstrip("+").startswith("model="))


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
    settings: Any = config.typed(config.without_hydra(job), config.SCHEMAS[cfg.hydra.job.name])
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


def name_of_data(cfg: DictConfig) -> str | None:
    """What the runs of a sweep are on, in one word."""
    return cfg.get("name") or (data_name(cfg.data) if cfg.get("data") else None)


def reason_of(returned: JobReturn) -> str | None:
    """Why a job has failed, or None if it has not."""
    if returned.status == JobStatus.COMPLETED:
        return None
    error = returned._return_value  # what `return_value` would print and raise
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"


def _values_of(override: Override) -> list[str]:
    """What an override gives to the jobs: a value for each of them, or the same for all."""
    key = override.get_key_element()
    if override.is_delete():
        return [str(override.input_line)]
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line} is a range without steps: give values one by one, such as "
            f"{key}=1,2,3, or search them with hydra/sweeper=optuna"
        )
    values = [f"{key}={value}" for value in override.sweep_string_iterator()]
    return [value for value in values if not value.partition("=")[2].startswith("_")]  # of glob: not for users


def _choices(key: str, value: Any) -> str:
    """The values of a setting as Hydra reads them from a command line."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"sweep.params.{key}=[] leaves no job: name at least one value")
    return ",".join(map(_value, values))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return text if SIMPLE.fullmatch(text) else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _trained_runs(folder: Path, conf: SweepConf) -> list[str]:
    """Every trained run in a folder, or those of one model, or one of those that differ in nothing but their seeds.

    Raises:
        UserError: there is none.
    """
    from maskgit_lab.runs.folder import RunFolder  # imports torch

    found = sorted(run_folders([folder.expanduser()], lambda files: RECORD in files))
    trained = [path for path in found if RunFolder(path).is_done("transformer")]
    if conf.model is not None:
        trained = [path for path in trained if RunFolder(path).settings().model == conf.model]
    if not trained:
        of = "" if conf.model is None else f" of model={conf.model}"
        raise UserError(
            f"sweep.runs={folder} has no trained run{of} in it: name a folder of runs, such as outputs/digits"
        )
    return [str(path) for path in (_lowest_seeds(trained) if conf.one_seed else trained)]


def _lowest_seeds(runs: Sequence[Path]) -> list[Path]:
    """Of runs that differ in nothing but their seeds, the one with the lowest, in the order of the runs."""
    from maskgit_lab.evaluation.chosen import without_seeds
    from maskgit_lab.runs.folder import RunFolder

    settings = {path: RunFolder(path).settings() for path in runs}
    first: dict[str, Path] = {}
    for path in sorted(runs, key=lambda path: settings[path].seed):
        first.setdefault(without_seeds(settings[path]), path)
    return [path for path in runs if path in first.values()]
