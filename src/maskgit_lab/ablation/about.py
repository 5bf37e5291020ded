"""Which run it is that a figure shows: its folder, its name, the settings of its command, and whether it is a try."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from maskgit_lab.ablation.origins import DEBUG
from maskgit_lab.errors import UserError
from maskgit_lab.paths import text_of
from maskgit_lab.runs.names import CONFIG, RECORD
from maskgit_lab.runs.results import RESULTS, Results


@dataclass(frozen=True)
class About:
    """What a reader has to know of a run."""

    folder: Path  # where it lies
    name: str  # that it was given, or else that of its folder
    settings: str  # of the command that made it; "": not known
    debug: str  # the debug config of a try, and other limits of its training; "": it is none

    def __str__(self) -> str:
        settings = self.settings or "not known, since its run.json cannot be read"
        tried = f"yes ({self.debug}): its numbers and images say nothing about the method" if self.debug else "no"
        return f"folder    {self.folder}\nname      {self.name}\nsettings  {settings}\ndebug run {tried}"


def about(folder: Path) -> About:
    """What the files of a run say of it; what is missing or damaged is left out."""
    config, record = _mapping(folder / CONFIG), _mapping(folder / RECORD)
    command = record.get("command")
    return About(
        folder,
        name=str(config.get("name") or folder.resolve().name),
        settings=" ".join(map(str, command)) if isinstance(command, list) else "",
        debug=str(config.get(DEBUG) or next((r[DEBUG] for r in Results(folder / RESULTS).rows() if r.get(DEBUG)), "")),
    )


def without_tries(folders: Iterable[Path], where: str) -> tuple[list[Path], int]:
    """The runs that are no debug runs, and how many are.

    Args:
        folders: of runs.
        where: they were found, for the message.

    Raises:
        UserError: there are only debug runs.
    """
    every = [about(folder) for folder in folders]
    kept = [one.folder for one in every if not one.debug]
    if every and not kept:
        raise UserError(only_tries(where, len(every)))
    return kept, len(every) - len(kept)


def only_tries(where: str, n: int) -> str:
    """What to do where there are only debug runs."""
    runs = "the only run is a debug run" if n == 1 else f"all {n} runs are debug runs"
    return (
        f"{runs} below {where}: make a whole one, such as with `python train.py schedule=cosine`, or set DEBUG = True "
        "to see tries"
    )


def _mapping(path: Path) -> dict[str, Any]:
    """A JSON or YAML file; empty where it cannot be read."""
    try:
        text = text_of(path)
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
