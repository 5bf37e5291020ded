"""Points: what was measured of one model, decoded in one way, on one draw of samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.runs.results import SETTINGS, Row, knobs

STEPS, DECODER, DECODE_SCHEDULE = "steps", "decoder", "decode_schedule"
COMPARED = ("schedule", "order", DECODE_SCHEDULE, STEPS, DECODER)  # and the decoder's own knobs
REPEATED = ("model", "seed", "repeat")  # points that differ in these alone are repeats of each other
SHARED = tuple(key for key in SETTINGS if key not in (*COMPARED, *REPEATED, "metrics", "cas_classifier"))
ABSURD = 1e100  # whose square, and an axis as far as that, can still be computed with
Value = float | str  # of a knob; everything but numbers as text
Setting = tuple[tuple[str, Value], ...]  # every knob and its value, by name


class Draw(NamedTuple):
    """A draw of samples from a model."""

    seed: int  # of the samples, which is the training's for the first
    repeat: int = 0  # further draws of one evaluation have 1, 2, ...


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    row: Row  # everything that was measured there, also by several evaluations
    training: str  # of its model
    seeds: Seeds  # of its model
    sources: tuple[tuple[Run, Row], ...]  # the runs and their rows that this was read from
    sizes: Mapping[str, int] = field(default_factory=dict)  # of its model, as the run that trained it has them

    @property
    def schedule(self) -> str:
        """The mask schedule that its model was trained with."""
        return str(self.row["schedule"])

    @property
    def decode_schedule(self) -> str:
        """The mask schedule that it was decoded with."""
        return str(self.row.get(DECODE_SCHEDULE, self.schedule))

    @property
    def steps(self) -> int:
        return int(self.row["steps"])

    @cached_property
    def setting(self) -> Setting:
        """The decoder's knobs, and its name where it has one."""
        named = {DECODER: self.row[DECODER]} if DECODER in self.row else {}
        own = {key: value for key, value in knobs(self.row).items() if key not in REPEATED}
        return tuple(sorted((key, _value(value)) for key, value in {**own, **named}.items()))

    @property
    def kind(self) -> str:
        """What its model was trained with besides the seeds: the schedule, or the order of the tokens."""
        return str(self.row.get("schedule", self.row.get("order", "")))

    @property
    def place(self) -> tuple[object, ...]:
        """The same for rows of the same point."""
        return (
            self.kind,
            self.row.get(DECODE_SCHEDULE, self.kind),
            self.row.get(STEPS),
            self.setting,
            self.model,
            self.draw,
        )

    @property
    def model(self) -> str:
        """The hash of its model's weights; "" where the row does not say."""
        return str(self.row.get("model", ""))

    @property
    def draw(self) -> Draw:
        """Which samples of its model were measured."""
        return Draw(int(self.row.get("seed", 0)), int(self.row.get("repeat", 0)))

    def value(self, key: str) -> float | None:
        """A number of the row; None where it was not measured, or is not finite or absurdly large."""
        value = self.row.get(key)
        finite = isinstance(value, int | float) and abs(value) < ABSURD  # false for NaN as well
        return float(value) if finite and value is not None else None

    def knob(self, key: str) -> Value | None:
        """The value of a knob, or the decoding schedule; None if its decoder has no such knob."""
        return self.decode_schedule if key == DECODE_SCHEDULE else dict(self.setting).get(key)

    def x(self, over: str) -> float:
        """T, or a knob that is a number.

        Raises:
            TypeError: the knob is a word, or its decoder has none.
        """
        value = self.steps if over == STEPS else self.knob(over)
        if not isinstance(value, int | float):
            raise TypeError(f"{over} = {value} is not a number")
        return value


def _value(value: object) -> Value:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def canonical(value: Any) -> str:
    """The same text for equal values, in whatever order of keys."""
    return json.dumps(value, sort_keys=True, default=str)
