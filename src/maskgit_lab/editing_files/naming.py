"""What edited pictures are called, and the command that makes one again."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskgit_lab.fingerprints import flatten
from maskgit_lab.settings import EditConf

# A text that Hydra takes as it is: not a number, and not one of its words.
PLAIN = re.compile(r"(?!(?:null|true|false|nan|inf)$)[A-Za-z_/.][\w/.-]*", re.IGNORECASE | re.ASCII)


def stems_of(pictures: Sequence[Path]) -> list[Path]:
    """The names of results without their numbers: of each picture the stem, or its whole name where others share it.

    Args:
        pictures: different paths, relative to one folder.
    """
    stems = [path.with_suffix("") for path in pictures]
    while shared := {stem for stem, count in Counter(stems).items() if count > 1}:
        whole = [path if stem in shared else stem for path, stem in zip(pictures, stems, strict=True)]
        if whole == stems:
            break
        stems = whole
    return stems


def result_name(stem: Path, variant: int) -> Path:
    """The file of a variant, in the folder of the results."""
    return stem.with_name(f"{stem.name}-{variant}.png")


def command_for(settings: EditConf, image: Path, variant: int) -> str:
    """The command that makes one result again; a folder for it is all that is missing.

    Args:
        settings: that it was made with.
        image: the picture.
        variant: the number of the result.
    """
    given = settings.given | {"image": str(image)}
    values = {key: value for key, value in flatten(given).items() if value is not None and value != {}}
    words = [f"{key}={_quoted(value)}" for key, value in values.items()]
    return shlex.join(["python", "edit.py", *words, *([f"n={variant + 1}"] if variant else [])])


def _quoted(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, list):
        return f"[{','.join(map(_quoted, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str) or PLAIN.fullmatch(value):
        return str(value)
    plain = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)  # else it names another setting
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), plain)
    return f"'{escaped}'"
