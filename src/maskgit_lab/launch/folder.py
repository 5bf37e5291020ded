"""The working folder: the options in its `conf/`, the files in its `sweeps/` and its modules are known to commands.

Its `conf/` is put before this suite's by a plugin of Hydra, `hydra_plugins.maskgit_lab_jobs.searchpath`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

from maskgit_lab import config
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.usage import configs

NO_MAPPING = re.compile(
    r"Invalid loaded object type|Invalid type assigned: \w+ is not a subclass of Dict|Merge error|"
    r"Missing mandatory value"
)
OF_HYDRA = re.compile(r"\s*#\s*@package\s+(hydra\b\S*)")  # the first line of a config with Hydra's own settings


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


def unreadable(error: Exception) -> str | None:
    """The sentence on a file of the user's that is not a config, where an error of Hydra's is about one.

    Hydra says neither which file is not in UTF-8, nor which has a list or a number in it, or Hydra's own settings.
    """
    if isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        place = f"{mark.name}, line {mark.line + 1}," if mark is not None else getattr(error, "name", "a config")
        return f"{place} is not valid YAML ({getattr(error, 'problem', None) or first_line(error)}): fix it"
    if isinstance(error, RecursionError):
        return "the defaults list of a config leads back to that config: take it out of the list"
    if not isinstance(error, UnicodeDecodeError) and not NO_MAPPING.search(str(error)):
        return None
    faults = filter(None, map(_fault, sorted(Path("conf").rglob("*.yaml"))))
    return next(faults, None)


def _fault(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        return f"{path} is not valid UTF-8 (byte {error.start}): save it in UTF-8"
    except (OSError, yaml.YAMLError):
        return None
    if path.parts[1] != "hydra" and (package := OF_HYDRA.match(text)):
        return f"{path} puts its settings among Hydra's own ({package[1]}): remove its @package line"
    if content is None or isinstance(content, dict):
        return None
    return f"{path} holds no settings: write KEY: VALUE in its lines"


def _check_main(path: Path, verb: str) -> None:
    """Another project's `conf/train.yaml` is not taken for a config of this suite."""
    if path.is_file() and f"base_{verb}" not in path.read_text(encoding="utf-8", errors="replace"):
        raise UserError(
            f"{path} would take the place of this command's own config: begin its defaults with base_{verb}, or start "
            "the command in another folder"
        )
