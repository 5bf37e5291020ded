"""What runs are called, and where the run of some settings lies."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import checksum
from maskgit_lab.objects import TARGET
from maskgit_lab.paths import text_of
from maskgit_lab.runs.names import BEFORE, CODE, CONFIG, RECORD
from maskgit_lab.runs.record import Damaged, Record, holds_run
from maskgit_lab.settings import EVALUATION, PLACES, TrainConf, run_fingerprint

OUTPUTS = Path("outputs")
LOCK = ".lock"
LONGEST_NAME = 80
# What a run that was killed as it began may have left: it is no reason to refuse the folder.
BEGUN = {LOCK, CONFIG, f"{RECORD}.tmp", CODE, "code.tmp"}


def run_name(overrides: Sequence[str], without: Collection[str] = PLACES) -> str:
    """Overrides as a name, without the characters that a shell or Hydra would read as syntax; of paths, the end.

    Args:
        overrides: of a command.
        without: groups and settings that are left out.
    """
    parts = [override.lstrip("+~").partition("=") for override in overrides]
    kept = [(key, value) for key, _, value in parts if re.split(r"[.@]", key, maxsplit=1)[0] not in without]
    named = [f"{key}={value.rstrip('/').rpartition('/')[2]}" for key, value in kept]
    text = "+".join(named).replace("/", ".").replace("=", "_").replace(",", "_")
    return re.sub(r"[^\w.+-]", "", text)[:LONGEST_NAME].strip(".") or "default"


def data_name(data: Mapping[str, Any]) -> str:
    """What the folder of the runs on some data is called, given the settings of the data."""
    own = data.get("name") or data.get("path") or str(data.get(TARGET, "data")).rpartition(".")[2]
    return re.sub(r"[^\w.-]", "_", str(own).rstrip("/").rpartition("/")[2]).strip(".") or "data"


def parent_of(settings: TrainConf) -> Path:
    """The folder in `outputs/` that a run without `run_dir` lies in."""
    return OUTPUTS / (settings.name or data_name(settings.data or {}))


def find_run(settings: TrainConf) -> Path | None:
    """The folder that has a run: `run_dir`, or that of these settings in `outputs/`, whatever it is called."""
    if settings.run_dir is not None:
        path = Path(settings.run_dir)
        return path if holds_run(path) else None
    name = run_fingerprint(settings)
    records = [record for each in (RECORD, BEFORE) for record in parent_of(settings).glob(f"*/{each}")]
    folders = sorted({record.parent for record in records})
    return next((folder for folder in folders if _fingerprint_of(folder) == name), None)


def free_name(parent: Path, overrides: Sequence[str]) -> Path:
    """A folder for a new run, called after its overrides.

    Raises:
        Damaged: what holds that name may be the very run that is looked for.
    """
    for path in numbered(parent / run_name(overrides, (*PLACES, *EVALUATION))):
        if is_free(path):
            return path
        if holds_run(path):
            _check_intact(path)
    raise AssertionError("there is always another number")


def numbered(path: Path) -> Iterator[Path]:
    """A path, and then the same with -2, -3, ... at its end."""
    return (path if number == 1 else path.with_name(f"{path.name}-{number}") for number in count(1))


def is_free(path: Path) -> bool:
    """Whether a folder can become a run's."""
    return not path.exists() or (path.is_dir() and {p.name for p in path.iterdir()} <= BEGUN)


def _fingerprint_of(folder: Path) -> object:
    """The fingerprint of a run, by its record or, where that is damaged, by the one before it."""
    found = (_fingerprint_in(folder / name) for name in (RECORD, BEFORE))
    return next((name for name in found if name is not None), None)


def _fingerprint_in(record: Path) -> object:
    """The fingerprint in a record, as far as it can be read, which may be of an earlier version."""
    try:
        values = json.loads(text_of(record))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or ("checksum" in values and values["checksum"] != checksum(values)):
        return None
    return values.get("fingerprint")


def _check_intact(path: Path) -> None:
    try:
        Record.read(path)
    except Damaged:
        raise
    except UserError:  # an earlier version's
        return
