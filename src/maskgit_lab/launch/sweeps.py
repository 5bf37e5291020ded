"""A sweep: which jobs it has, which of them are missing, and which have failed."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from maskgit_lab import config
from maskgit_lab.commands import evaluate
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.evaluation.code import asked_for, measuring_code, origin_of
from maskgit_lab.runs.codes import Stale
from maskgit_lab.runs.finding import run_folders
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import RECORD
from maskgit_lab.runs.naming import data_name
from maskgit_lab.runs.opening import Wanted, existing
from maskgit_lab.runs.origin import check_rows
from maskgit_lab.settings import EvaluateConf, SweepConf, TrainConf
from maskgit_lab.stages.code import training_code

Launch = Callable[[Sequence[Sequence[str]], int], Sequence[JobReturn]]

OF_SWEEP = re.compile(r"[+~]*(sweeps|sweep)\b")
SIMPLE = re.compile(r"[\w./-]+")  # values that Hydra reads as they are


@dataclass(frozen=True)
class _Job:
    overrides: list[str]
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
        self.name: str | None = cfg.get("name") or (data_name(cfg.data) if cfg.get("data") else None)
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
            print(f"failed     {reason}\n           python {self.verb}.py {shlex.join(overrides)}", file=sys.stderr)
        if failed:
            raise UserError(
                f"{len(failed)} of {len(jobs)} jobs failed and the others are finished: fix what is shown above, and "
                "give the same command again, which runs only what is missing"
            )
        self.terminal.note("sweep", f"all {len(jobs)} jobs are finished")

    def _jobs(self, arguments: Sequence[str]) -> list[_Job]:
        """Every combination, with what is the same for all; each is composed and checked."""
        own = [argument for argument in arguments if not OF_SWEEP.match(argument)]
        lines = [f"{key}={_choices(key, value)}" for key, value in self._params().items()] + own
        overrides = OverridesParser.create(config_loader=self.loader).parse_overrides(lines)
        swept = [o.get_key_element().lstrip("+~") for o in overrides if o.is_sweep_override()]
        choices = {override.get_key_element(): _values_of(override) for override in overrides}  # the last of each key
        same = self._same_for_all(own, swept)
        combinations = list(itertools.product(*choices.values()))
        jobs, faults = list[_Job](), list[Stale]()
        for combination in combinations:
            try:
                jobs.append(self._checked([*combination, *same]))
            except Stale as fault:
                faults.append(fault)
        if faults:
            files = ", ".join(dict.fromkeys(fault.files for fault in faults))
            raise Stale(f"{len(faults)} of the {len(combinations)} jobs were done", files, "do them again")
        return jobs

    def _params(self) -> dict[str, Any]:
        params = self.conf.params
        return params | ({"checkpoint": _trained_runs(Path(self.conf.runs))} if self.conf.runs is not None else {})

    def _same_for_all(self, own: Sequence[str], swept: Sequence[str]) -> list[str]:
        """Jobs that another sweep runs at the same moment are waited for; a sweep is a group in W&B."""
        given = {argument.partition("=")[0] for argument in own}
        name = self.conf.name or "-".join(key.rpartition(".")[2] for key in swept) or "sweep"
        group = name if self.name is None else f"{name}-{self.name}"
        wanted = {"wait": "true", "logger.group": group}
        return [f"{key}={value}" for key, value in wanted.items() if key not in given]

    def _checked(self, overrides: list[str]) -> _Job:
        cfg = self.loader.load_sweep_config(self.cfg, overrides)
        settings: Any = config.typed(config.without_hydra(cfg), config.SCHEMAS[self.verb])
        if isinstance(settings, EvaluateConf):
            evaluate.check(settings)
        return _Job(overrides, isinstance(settings, TrainConf) and _is_measured(settings, overrides))

    def _launch(self, todo: Sequence[list[str]], launch: Launch) -> list[str | None]:
        try:
            return [_reason(returned) for returned in launch(todo, 0)]
        except (UserError, OSError):
            raise
        except Exception as error:  # of all kinds, such as for schedulers that do not answer
            name = self.cfg.hydra.runtime.choices["hydra/launcher"]
            raise UserError(
                f"hydra/launcher={name} did not carry out the jobs ({first_line(error)}): see to the scheduler, or "
                "leave it out to run them here; the same command runs what is missing"
            ) from error


def _is_measured(settings: TrainConf, overrides: Sequence[str]) -> bool:
    """Whether the run of these settings has all that they ask for.

    Raises:
        Stale: other code trained or measured it, and the settings do not say what to do about that.
    """
    run = existing(Wanted(settings, overrides, training_code(settings)))
    if run is None:
        return False
    asked = asked_for(settings)
    points = run.record.measured.get(asked, [])
    if not (settings.rerun or settings.reuse):
        check_rows(run.results, points, origin_of(settings, run))
    return run.is_measured(settings.stage, asked, measuring_code(settings))


def _reason(returned: JobReturn) -> str | None:
    try:
        reason: str | None = returned.return_value
        return reason
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"


def _values_of(override: Override) -> list[str]:
    """What an override gives to the jobs: a value for each of them, or the same for all."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise UserError(f"{key}: give its values one by one, such as {key}=1,2,3")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


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


def _trained_runs(folder: Path) -> list[str]:
    """Every trained run in a folder.

    Raises:
        UserError: there is none.
    """
    found = sorted(run_folders([folder.expanduser()], lambda files: RECORD in files))
    trained = [str(path) for path in found if RunFolder(path).is_done("mvtm")]
    if not trained:
        raise UserError(f"sweep.runs={folder} has no trained run in it: name a folder of runs, such as outputs/digits")
    return trained
