"""The way from a command line to a verb, with every mistake of the user's said in one sentence.

Torch is imported only once the config is composed, so that `--help` and typing errors answer at once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from maskgit_lab import config
from maskgit_lab.commands.sentences import sentence
from maskgit_lab.errors import UserError

FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: with it, users see tracebacks here too
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
USER_ERRORS = (UserError, HydraException, OmegaConfBaseException)


def main(verb: str, script: str) -> None:
    """Runs `maskgit_lab.commands.<verb>.run` on the config that the command line composes.

    Args:
        verb: `train` or `sample`; also the name of the primary config.
        script: the entry point's `__file__`; `conf/` lies beside it.
    """
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    os.environ[FULL_ERROR] = "1"  # Hydra must raise its errors, for `sentence` to say them
    config.register()
    schema = config.SCHEMAS[verb]
    help_command = f"`python {Path(script).name} --help`"

    def leave(error: Exception) -> NoReturn:
        if wants_traceback:
            raise error
        print(f"error: {sentence(error, schema, help_command)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)

    def task(cfg: DictConfig) -> None:
        try:
            import_module(f"maskgit_lab.commands.{verb}").run(config.checked(cfg, schema))
        except USER_ERRORS as error:
            leave(error)  # at once: what Hydra adds to the errors of a job is not for users

    try:
        conf = Path(script).resolve().parent / "conf"
        hydra.main(version_base="1.3", config_path=str(conf), config_name=verb)(task)()
    except USER_ERRORS as error:
        leave(error)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from what was saved", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
