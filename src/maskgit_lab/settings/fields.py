"""What the value of a setting may be: types of fields, each with the advice that a user gets for any other value."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict

MISSING: Any = "???"  # Hydra's mark of a setting that has to be given
MOST = 100_000_000  # of any count of images or subsets: more is a slip of the keyboard
MOST_STEPS = 100_000
STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Rule(AfterValidator):
    """A constraint on a field that says what its value may be."""

    advice: str = ""


def rule(is_valid: Callable[[Any], bool], advice: str) -> Rule:
    """A constraint on a field, with what to do where it is not met."""

    def check(value: Any) -> Any:
        if not is_valid(value):
            raise ValueError(advice)
        return value

    return Rule(check, advice)


def one_of(*choices: str) -> Rule:
    """A choice of words."""
    return rule(lambda value: value in choices, f"choose one of {', '.join(choices)}")


def some_of(choices: Callable[[], Sequence[str]]) -> Rule:
    """A list of different words."""

    def check(value: list[str]) -> list[str]:
        if not value or not set(value) <= set(choices()):
            raise ValueError(f"choose of {', '.join(choices())}")
        if len(set(value)) < len(value):
            raise ValueError("name every one of them once")
        return value

    return Rule(check, f"choose of {', '.join(choices())}")


def check_steps(steps: Sequence[int]) -> None:
    """Raises a `ValueError` unless these are different numbers of decoding steps."""
    if not steps:
        raise ValueError("name at least one number of decoding steps, such as [8]")
    if not all(isinstance(t, int) and t >= 1 for t in steps):
        raise ValueError("decoding takes at least 1 step, so every number has to be a whole number of 1 or more")
    if len(set(steps)) < len(steps):
        raise ValueError("name every number of steps once")
    if max(steps) > MOST_STEPS:
        raise ValueError(f"give at most {MOST_STEPS}")


def _checked_steps(steps: list[int]) -> list[int]:
    check_steps(steps)
    return steps


def at_most(most: int) -> Rule:
    """A largest value."""
    return rule(lambda n: n <= most, f"give at most {most}")


Count = Annotated[int, rule(lambda n: n >= 1, "give a whole number of at least 1"), at_most(MOST)]
Images = Annotated[int, rule(lambda n: n >= 2, "give at least 2"), at_most(MOST)]
Whole = Annotated[int, rule(lambda n: n >= 0, "give a number that is not negative")]
Seed = Annotated[int, rule(lambda n: 0 <= n < 2**32, "give a whole number from 0 to 4294967295")]
Amount = Annotated[float, rule(lambda x: 0 <= x < math.inf, "give a finite number that is not negative")]
Amounts = Annotated[list[Amount], rule(lambda xs: len(set(xs)) == len(xs) > 1, "give at least two different numbers")]
Positive = Annotated[float, rule(lambda x: 0 < x < math.inf, "give a positive number")]
Share = Annotated[float, rule(lambda x: 0 <= x < 1, "give a number from 0 to below 1")]
HalfShare = Annotated[float, rule(lambda x: 0 <= x <= 0.5, "give a number from 0 to 0.5")]
Areas = Annotated[
    list[float], rule(lambda s: len(s) == 2 and 0 < s[0] <= s[1] <= 1, "give two shares up to 1, such as [0.08,1]")
]
Ratios = Annotated[
    list[float], rule(lambda r: len(r) == 2 and 0 < r[0] <= r[1] < math.inf, "give two ratios, such as [0.75,1.3333]")
]
Steps = Annotated[list[int], Rule(_checked_steps, "give a list of different whole numbers of at least 1")]
Batches = Annotated[
    list[Count], rule(lambda ns: len(set(ns)) == len(ns) > 0, "give different batch sizes, such as [1,8,64]")
]
Folder = Annotated[str, rule(bool, "name a folder, or leave it out")]
Threads = Annotated[Count, rule(lambda n: n <= (os.cpu_count() or 1), f"this machine has {os.cpu_count()}")]
Extractor = Annotated[str, one_of("classifier", "inception", "vgg16", "dinov2", "resnet56_cifar10")]
Precision = Annotated[str, one_of("32-true", "16-mixed", "bf16-mixed")]
