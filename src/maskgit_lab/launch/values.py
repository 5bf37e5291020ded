"""The values that the jobs of a sweep get, as Hydra reads them from a command line."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from hydra.core.override_parser.types import Override

from maskgit_lab.errors import UserError
from maskgit_lab.launch.overrides import quoted
from maskgit_lab.sizes import MOST_JOBS

SIMPLE = re.compile(r"[\w./-]+")  # values that Hydra reads as they are


def values_of(override: Override) -> list[str]:
    """What an override gives to the jobs: a value for each of them, or the same for all."""
    key = override.get_key_element()
    if override.is_delete():
        return [str(override.input_line)]
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line} is a range without steps: give values one by one, such as "
            f"{key}=1,2,3, or search them with hydra/sweeper=optuna"
        )
    values = [f"{key}={value}" for value in islice(override.sweep_string_iterator(), MOST_JOBS + 1)]
    values = [value for value in values if not value.partition("=")[2].startswith("_")]  # of glob: not for users
    if not values:
        raise UserError(f"{override.input_line} has no value, which leaves no job: change it, or leave it out")
    return values


def choices_of(key: str, value: Any) -> str:
    """The values of a setting in a sweep's file, as Hydra reads them from a command line."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"sweep.params.{key}=[] leaves no job: name at least one value")
    return ",".join(map(written, values))


def written(value: Any) -> str:
    """A value as Hydra reads it from a command line."""
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return text if SIMPLE.fullmatch(text) else quoted(text)
