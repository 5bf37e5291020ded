"""The way from a command line to a verb, with every mistake of the user's said in one sentence.

Torch is imported only once the config is known to be sound, so that `--help` and typing errors answer at once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from maskgit_lab import config
from maskgit_lab.errors import UserError

FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch: with it, users see tracebacks here too
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(verb: str, script: str) -> None:
    """Runs `maskgit_lab.commands.<verb>.run` on the config that the command line composes.

    Args:
        verb: `train` or `sample`; also the name of the primary config.
        script: the entry point's `__file__`; `conf/` lies beside it.
    """
    wants_traceback = os.environ.get(FULL_ERROR) == "1"
    os.environ[FULL_ERROR] = "1"  # Hydra must raise its errors, for `_sentence` to say them
    config.register()

    def task(cfg: DictConfig) -> None:
        import_module(f"maskgit_lab.commands.{verb}").run(cfg)

    try:
        conf = Path(script).resolve().parent / "conf"
        hydra.main(version_base="1.3", config_path=str(conf), config_name=verb)(task)()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        _leave(_sentence(error, script, verb), EXIT_USER_ERROR)
    except KeyboardInterrupt:
        _leave("interrupted; the same command goes on from what was saved", EXIT_INTERRUPTED)


def _leave(sentence: str, code: int) -> None:
    print(f"error: {sentence}" if code == EXIT_USER_ERROR else sentence, file=sys.stderr)
    sys.exit(code)


def _sentence(error: Exception, script: str, verb: str) -> str:
    """One line for a user from an error of ours, of Hydra's or of OmegaConf's."""
    if isinstance(error, UserError):
        return str(error)
    text = str(error)
    cause = error.__cause__
    key = getattr(error, "full_key", None) or getattr(cause, "full_key", None)
    help_command = f"`python {Path(script).name} --help` lists what there is"
    if option := re.search(r"Could not find '(.+)/(.+?)'", text):
        return _unknown_option(option[1], option[2], text)
    if unknown := re.search(r"(?:Could not override|Error merging override) '?\+?([\w.@/]+)", text):
        if "not in" in text:
            return _unknown_key(unknown[1], help_command, verb)
    if missing := re.search(r"(?:Missing mandatory value|You must specify '?)[: ]*'?([\w.]+)", text):
        return f"{missing[1]} is needed: give it as {missing[1]}=..., and {help_command}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = str(cause).splitlines()[0] if isinstance(cause, OmegaConfBaseException) else " ".join(lines[:2])
    return f"{f'{key}: ' if key else ''}{first.rstrip('.')}; {help_command}"


def _unknown_option(group: str, name: str, text: str) -> str:
    listed = text.split("Available options in", 1)[-1].splitlines()[1:]
    options = [line.strip() for line in listed if line.strip() and not line.startswith("Config search path")]
    close = get_close_matches(name, options, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{group}={name}: there is no such option{hint}; choose one of {', '.join(options)}"


def _unknown_key(key: str, help_command: str, verb: str) -> str:
    schema = {"train": config.TrainConf, "sample": config.SampleConf}[verb]
    known = list(config.flatten(OmegaConf.to_container(OmegaConf.structured(schema))))  # type: ignore[arg-type]
    close = get_close_matches(key, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{key}: there is no such setting{hint}; {help_command}"
