"""The way from a command line to a verb, where every mistake of the user gets one sentence.

Torch is imported only once the config is composed, so that `--help` and typing errors answer at once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskgit_lab import config, usage
from maskgit_lab.errors import UserError
from maskgit_lab.launch import arguments, extras, folder
from maskgit_lab.launch.completion import completed
from maskgit_lab.launch.help import help_text
from maskgit_lab.launch.sentences import sentence
from maskgit_lab.settings import TrainConf, check_overrides

FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: with it, users see tracebacks here too
OURS = "MASKGIT_LAB_SENTENCES"  # marks the switch as set by this module, also in processes that this one starts
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
USER_ERRORS = (UserError, HydraException, OmegaConfBaseException, OSError)


class Command:
    """A verb, its config and its errors.

    Args:
        verb: `train` or `sample`: the module under `commands`, and the name of the primary config.
    """

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.schema = config.SCHEMAS[verb]
        self.composed = self.wants_help = False
        self.wants_traceback = os.environ.get(FULL_ERROR) == "1" and OURS not in os.environ

    def __call__(self) -> None:
        """Composes the config from the command line and runs the verb on it."""
        if not self.wants_traceback:
            os.environ[FULL_ERROR] = os.environ[OURS] = "1"  # Hydra must raise its errors, for `sentence` to read them
        usage.remember(sys.argv[0])
        config.register()
        extras.register()
        try:
            conf = folder.enter(self.verb)
            sys.argv[1:] = self._without_help(arguments.checked(sys.argv[1:], self.verb, conf))
            with completed(sys.argv):
                hydra.main(version_base="1.3", config_path=str(conf), config_name=self.verb)(self._task)()
        except USER_ERRORS as error:
            self._leave(error)
        except yaml.YAMLError as error:
            self._leave(folder.unreadable(error))
        except ValueError as error:  # Hydra's own, for groups without a name
            if self.composed:
                raise
            self._leave(error)
        except KeyboardInterrupt:
            print("interrupted: the same command continues from what was saved", file=sys.stderr)
            sys.exit(EXIT_INTERRUPTED)

    def _task(self, cfg: DictConfig) -> float | None:
        """Does the work, and returns what a search over settings looks at."""
        self.composed = True
        if self.wants_help:
            text = help_text(cfg, HydraConfig.get(), self.schema, GlobalHydra.instance().config_loader())
            print(usage.as_typed(text))
            return None
        try:
            return self._work(config.typed(cfg, self.schema), list(HydraConfig.get().overrides.task))
        except USER_ERRORS as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:  # a launcher runs it in a process of its own
                raise UserError(self._sentence(error)) from error
            self._leave(error)  # at once: what Hydra adds to the errors of a job is not for users

    def _work(self, settings: Any, overrides: list[str]) -> float | None:
        """Verbs that prepare something run in a process for each device."""
        if {"decode.steps", "eval.steps"} <= {override.lstrip("+").partition("=")[0] for override in overrides}:
            raise UserError("eval.steps is another name of decode.steps: give only one of them")
        if isinstance(settings, TrainConf):
            check_overrides(overrides, settings.model)
        verb = import_module(f"maskgit_lab.commands.{self.verb}")
        if not hasattr(verb, "prepare"):
            verb.run(settings)
            return None
        from maskgit_lab.launch.processes import in_processes  # imports torch

        command = self.verb, overrides
        return in_processes(
            settings.trainer, command, lambda: verb.prepare(settings), lambda made: verb.run(settings, overrides, made)
        )

    def _without_help(self, given: list[str]) -> list[str]:
        """The arguments that compose the config, where help is asked for: Hydra's own would list all of it, slowly."""
        self.wants_help = bool({"-h", "--help"} & set(given))
        kept = [argument for argument in given if argument not in ("-h", "--help", "-m", "--multirun")]
        return [*kept, "hydra.mode=RUN"] if self.wants_help else given

    def _leave(self, error: Exception) -> NoReturn:
        if isinstance(error, BrokenPipeError):  # such as of `--help | head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(EXIT_BROKEN_PIPE)
        if self.wants_traceback:
            raise error
        print(f"error: {self._sentence(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)

    def _sentence(self, error: Exception) -> str:
        text = sentence(error, self.schema, f"`python {self.verb}.py --help`")
        return usage.as_typed(" ".join(text.split()))  # names of files may have lines of their own
