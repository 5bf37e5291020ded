"""The working folder: the options in its `conf/`, the files in its `sweeps/` and its modules are known to commands.

Its `conf/` is put before this suite's by a plugin of Hydra, `hydra_plugins.maskgit_lab_jobs.searchpath`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from maskgit_lab import config
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.usage import configs


def enter(verb: str) -> Path:
    """Makes the working folder known to a command.

    Args:
        verb: of the command.

    Returns:
        The folder of this suite's own configs.

    Raises:
        UserError: the folder is gone, or has a file that cannot be used.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise UserError("the working folder does not exist any more: change to another one") from error
    if str(here) not in sys.path:
        sys.path.append(str(here))  # after installed packages, so that no file in it takes the place of one
    own = configs()
    if here != own:
        _check_main(here / "conf" / f"{verb}.yaml", verb)
    for folder in dict.fromkeys((own, here)):  # the later ones take the place of the earlier
        config.register_sweeps(folder / "sweeps")
    return own / "conf"


def unreadable(error: yaml.YAMLError) -> UserError:
    """A file of the user's that is not YAML, as a sentence."""
    mark = getattr(error, "problem_mark", None)
    place = f"{mark.name}, line {mark.line + 1}," if mark is not None else "a config"
    return UserError(f"{place} is not valid YAML ({getattr(error, 'problem', None) or first_line(error)}): fix it")


def _check_main(path: Path, verb: str) -> None:
    """Another project's `conf/train.yaml` is not taken for a config of this suite."""
    if path.is_file() and f"base_{verb}" not in path.read_text(encoding="utf-8", errors="replace"):
        raise UserError(
            f"{path} would take the place of this command's own config: begin its defaults with base_{verb}, or start "
            "the command in another folder"
        )
