"""The way from a command line to a verb, where every mistake of the user gets one sentence.

Torch is imported only once the config is composed, so that `--help` and typing errors answer at once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from maskgit_lab import __version__, config, lifeline, usage
from maskgit_lab.errors import EXIT_USER_ERROR, Interrupted, UserError
from maskgit_lab.launch import arguments, extras, faults, folder, interruption
from maskgit_lab.launch.completion import completed
from maskgit_lab.launch.help import help_text
from maskgit_lab.launch.sentences import is_expected, sentence
from maskgit_lab.launch.streams import make_printable
from maskgit_lab.launch.switches import part_found
from maskgit_lab.launch.what_is_left import what_is_left
from maskgit_lab.placement import Placement, placement
from maskgit_lab.settings import TrainConf, check_overrides

FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: with it, users see tracebacks here too
OURS = "MASKGIT_LAB_SENTENCES"  # marks the switch as set by this module, also in processes that this one starts
EXIT_FAULT = 1
TORCH_LOG = "TORCH_CPP_LOG_LEVEL"  # without warnings of C++ with its stack, where another process is gone
EXIT_BROKEN_PIPE = 141


class Command:
    """A verb, its config and its errors: whatever is raised below ends here, in one sentence and an exit code.

    Args:
        verb: `train` or `sample`: the module under `commands`, and the name of the primary config.
    """

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.schema = config.SCHEMAS[verb]
        self.settings: Any = None  # once the config is composed and checked
        self.composed = self.wants_help = False
        self.process = os.getpid()
        self.n_failed = 0  # jobs in this process, as the commands without a launcher run those of -m
        self.speaks = True  # whether a mistake in the command line is this process's to report
        self.wants_traceback = os.environ.get(FULL_ERROR) == "1" and OURS not in os.environ

    def __call__(self) -> None:
        """Composes the config from the command line and runs the verb on it."""
        make_printable()
        if not self.wants_traceback:
            os.environ[FULL_ERROR] = os.environ[OURS] = "1"  # Hydra must raise its errors, for `sentence` to read them
        os.environ["MPLBACKEND"] = "agg"  # commands draw to files alone, whatever this machine's windows are
        os.environ.setdefault(TORCH_LOG, "ERROR")
        usage.remember(sys.argv[0])
        lifeline.hold()
        try:
            self._compose()
        except Exception as error:
            self._leave(error)
        except KeyboardInterrupt as stop:
            self._end(stop)

    def _compose(self) -> None:
        """Has Hydra compose the config and call `_task` with it, or a sweeper that starts jobs."""
        config.register(self.verb)
        extras.register()
        self.speaks = _is_main(placement())
        conf = folder.enter(self.verb)
        given = arguments.checked(sys.argv[1:], self.verb, conf)
        if "--version" in given:
            print(f"maskgit_lab {__version__}")
            return
        sys.argv[1:] = self._without_help(given)
        with interruption.raised(), completed(sys.argv), part_found(given):
            hydra.main(version_base="1.3", config_path=str(conf), config_name=self.verb)(self._task)()
        if self.n_failed:
            jobs = "a job" if self.n_failed == 1 else f"{self.n_failed} jobs"
            raise UserError(f"{jobs} failed, as shown above: fix what is wrong, and run the same command again")

    def _task(self, cfg: DictConfig) -> float | None:
        """Does the work, and returns what a search over settings looks at."""
        with interruption.raised():  # in processes of other launchers, which do not begin with `__call__`
            try:
                return self._done(cfg)
            except KeyboardInterrupt as stop:
                if HydraConfig.get().mode != RunMode.MULTIRUN:
                    raise
                self._end(stop)

    def _done(self, cfg: DictConfig) -> float | None:
        self.composed = True
        if self.wants_help:
            text = help_text(cfg, HydraConfig.get(), self.schema, GlobalHydra.instance().config_loader())
            print(usage.as_typed(text))
            return None
        try:
            overrides = list(HydraConfig.get().overrides.task)
            return self._work(config.typed(cfg, self.schema, overrides), overrides)
        except Exception as error:
            if HydraConfig.get().mode != RunMode.MULTIRUN or self.wants_traceback:
                self._leave(error)  # at once: what Hydra adds to the errors of a job is not for users
            if os.getpid() != self.process:  # a launcher has started it, and raises this where the sweep runs
                raise UserError(self._sentence(error)) from error
            print(f"error: {self._sentence(error)}", file=sys.stderr)
            self.n_failed += 1
            return None

    def _work(self, settings: Any, overrides: list[str]) -> float | None:
        """Verbs that prepare something run in a process for each device."""
        if {"decode.steps", "eval.steps"} <= {override.lstrip("+").partition("=")[0] for override in overrides}:
            raise UserError("eval.steps is another name of decode.steps: give only one of them")
        if isinstance(settings, TrainConf):
            check_overrides(overrides, settings.model)
        if (sweep := getattr(settings, "sweep", None)) and (sweep.params or sweep.runs):
            raise UserError(
                "sweep.params are for several jobs: give -m too, or write hydra: {mode: MULTIRUN} next to them"
            )
        verb = import_module(f"maskgit_lab.commands.{self.verb}")
        self.settings = settings
        if not hasattr(verb, "prepare"):
            verb.run(settings)
            return None
        from maskgit_lab.launch.processes import in_processes  # imports torch

        command, self.speaks = (self.verb, overrides), True  # from here on, the processes agree on who speaks
        return in_processes(
            settings.trainer, command, lambda: verb.prepare(settings), lambda made: verb.run(settings, overrides, made)
        )

    def _without_help(self, given: list[str]) -> list[str]:
        """The arguments that compose the config, where help is asked for: Hydra's own would list all of it, slowly."""
        self.wants_help = "--help" in given
        kept = [argument for argument in given if argument not in ("--help", "--multirun")]
        return [*kept, "hydra.mode=RUN"] if self.wants_help else given

    def _end(self, stop: KeyboardInterrupt) -> NoReturn:
        said = "" if isinstance(stop, Interrupted) else str(stop)
        sys.exit(interruption.conclude(stop, usage.as_typed(said or what_is_left(self.verb, self.settings))))

    def _leave(self, error: Exception) -> NoReturn:
        if isinstance(error, BrokenPipeError):  # such as of `--help | head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(EXIT_BROKEN_PIPE)
        if not self.speaks:
            sys.exit(EXIT_USER_ERROR)
        if self.wants_traceback:
            raise error
        print(f"error: {self._sentence(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR if self._is_of_user(error) else EXIT_FAULT)

    def _is_of_user(self, error: Exception) -> bool:
        """Whether a user can put it right: an error that is known, one in a config, or one of the user's own code."""
        return self._is_known(error) or faults.own_place(error) is not None

    def _is_known(self, error: Exception) -> bool:
        if self.composed or is_expected(error):
            return is_expected(error)
        return faults.is_of_hydra(error) or folder.unreadable(error) is not None

    def _sentence(self, error: Exception) -> str:
        if self._is_known(error):
            text = sentence(error, self.schema, f"`python {self.verb}.py --help`")
            if place := faults.own_place(error.__cause__ if isinstance(error, UserError) else error):
                text = f"{text} ({place})"
        else:
            text = faults.fault(error, self.verb)
        return usage.as_typed(" ".join(text.split()))  # names of files may have lines of their own


def main(verb: str) -> None:
    """Carries out a command as this process, which ends with it."""
    try:
        Command(verb)()
    finally:
        interruption.ignore()


def _is_main(place: Placement | None) -> bool:
    return place is None or place.rank == 0
