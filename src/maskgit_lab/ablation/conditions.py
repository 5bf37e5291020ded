"""Conditions on rows, such as `data=digits,seed=0`, which choose what a report is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import TOKENIZER_SEED, Run, is_autoregressive
from maskgit_lab.errors import UserError
from maskgit_lab.metrics import registry
from maskgit_lab.runs.results import PROVENANCE, VERSION, Row, is_floor, samples_in

EXAMPLE = "where=data=digits,seed=0"
BETWEEN = re.compile(r",(?![^\[]*\])")  # a comma that is not within brackets
MOST = 12  # values that are listed


@dataclass(frozen=True)
class Conditions:
    """Keys of rows, or of the settings of the training, and the values that they have to have, as text."""

    wanted: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> Conditions:
        """Conditions from KEY=VALUE,KEY=VALUE.

        Raises:
            UserError: one of them is not of this form, or a key occurs twice.
        """
        if not text.strip():
            raise UserError(f"where is empty: give conditions such as {EXAMPLE}, or leave it out")
        wanted: dict[str, str] = {}
        for part in BETWEEN.split(text):
            key, _, value = (piece.strip() for piece in part.partition("="))
            if not key or not value:
                raise UserError(f"where={text}: {part.strip()!r} is not a condition: write {EXAMPLE}")
            if key in wanted:
                raise UserError(f"where={text} names {key} twice: give one value of each key")
            wanted[key] = value
        return cls(wanted)

    def __str__(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.wanted.items())

    def chosen(self, runs: Sequence[Run], origins: Origins) -> list[Run]:
        """The runs with the rows that meet all conditions, without runs that have none.

        Raises:
            UserError: no row has a key or a value, or none meets all conditions.
        """
        for key, value in self.wanted.items():
            _check(key, value, [_values(run, row, origins) for run in runs for row in run.rows])
        kept = [replace(run, rows=[row for row in run.rows if self._meets(run, row, origins)]) for run in runs]
        if not any(samples_in(run.rows) for run in kept):
            raise UserError(f"where: no row has all of {self}")
        return [run for run in kept if samples_in(run.rows)]

    def _meets(self, run: Run, row: Row, origins: Origins) -> bool:
        """Held-out images are the same for all models and T, so that they meet conditions on what they have not."""
        values = _values(run, row, origins)
        return all(_is(values[key], value) if key in values else is_floor(row) for key, value in self.wanted.items())


def _values(run: Run, row: Row, origins: Origins) -> Mapping[str, Any]:
    """What a row says, and the settings of its model's training by dotted keys."""
    if "steps" not in row and not is_autoregressive(row):
        return origins.complete(run, row)
    training, seeds = origins.run_of(run, row).settings, origins.seeds_of(run, row)
    return {**training, TOKENIZER_SEED: seeds.tokenizer, **origins.complete(run, row)}


def _check(key: str, value: str, every: Sequence[Mapping[str, Any]]) -> None:
    """Raises a `UserError` unless any row has the value."""
    found = [values[key] for values in every if key in values]
    if not found:
        known = sorted({name for values in every for name in values})
        close = get_close_matches(key, known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(f"where: no row has {key}{hint}; rows have {', '.join(filter(_is_setting, known))}")
    if not any(_is(one, value) for one in found):
        raise UserError(f"where: no row has {key}={value}: rows have {_listed(_ordered(found))}")


def _is(value: Any, text: str) -> bool:
    """Whether a text stands for a value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    return _text(value).replace(" ", "") == text.replace(" ", "")


def _text(value: Any) -> str:
    """As a command line has it."""
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _ordered(values: Iterable[Any]) -> Iterator[str]:
    """Each once; numbers by their size."""
    distinct = {_text(value): value for value in values}
    numbers = [value for value in distinct.values() if isinstance(value, int | float) and not isinstance(value, bool)]
    yield from (_text(value) for value in sorted(numbers))
    yield from sorted(text for text, value in distinct.items() if value not in numbers)


def _listed(texts: Iterable[str]) -> str:
    several = list(texts)
    more = f" and {len(several) - MOST} more" if len(several) > MOST else ""
    return ", ".join(several[:MOST]) + more


def _is_setting(key: str) -> bool:
    """Whether a key says how a row was measured, and is no detail."""
    is_detail = key in PROVENANCE or key.startswith(VERSION) or "." in key
    return not is_detail and not registry.is_measured(key)
