"""What the value of a setting may be: types of fields, each with the advice that a user gets for any other value."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from maskgit_lab import paths
from maskgit_lab.sizes import (
    LARGEST,
    MOST,
    MOST_AT_ONCE,
    MOST_DRAWS,
    MOST_IMAGES,
    MOST_NODES,
    MOST_OPERATIONS,
    MOST_PICTURED,
    MOST_RESAMPLES,
    MOST_SAMPLES,
    MOST_SIDE,
    MOST_STEPS,
    MOST_STEPS_PICTURED,
    MOST_VIEWS,
    most_processes,
)

MISSING: Any = "???"  # Hydra's mark of a setting that has to be given
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
            raise ValueError(f"choose from {', '.join(choices())}")
        if len(set(value)) < len(value):
            raise ValueError("name every one of them once")
        return value

    return Rule(check, f"choose from {', '.join(choices())}")


def check_step_count(steps: Any) -> None:
    """Raises a `ValueError` unless this is a possible number T of decoding steps."""
    if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"give a whole number from 1 to {MOST_STEPS}")


def check_steps(steps: Sequence[Any]) -> None:
    """Raises a `ValueError` unless these are different numbers T of decoding steps."""
    if not steps:
        raise ValueError("name at least one number of decoding steps, such as [8]")
    if not all(type(t) is int and 1 <= t <= MOST_STEPS for t in steps):
        raise ValueError(f"give whole numbers from 1 to {MOST_STEPS}")
    if len(set(steps)) < len(steps):
        raise ValueError("name every number of steps once")


def _checked_steps(steps: list[int]) -> list[int]:
    check_steps(steps)
    return steps


def at_most(most: int) -> Rule:
    """A largest value."""
    return rule(lambda n: n <= most, f"give at most {most}")


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # which Python takes for 0 or 1
        raise ValueError("give a number")
    return value


Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number)]
AT_LEAST_1 = rule(lambda n: n >= 1, "give a whole number of at least 1")
NOT_NEGATIVE = rule(lambda n: n >= 0, "give a number that is not negative")
Count = Annotated[Int, AT_LEAST_1, at_most(MOST)]
AtOnce = Annotated[Int, AT_LEAST_1, at_most(MOST_AT_ONCE)]
Draws = Annotated[Int, AT_LEAST_1, at_most(MOST_DRAWS)]
Nodes = Annotated[Int, AT_LEAST_1, at_most(MOST_NODES)]
Pictured = Annotated[Int, AT_LEAST_1, at_most(MOST_PICTURED)]
Pixels = Annotated[Int, AT_LEAST_1, at_most(MOST_SIDE)]
Resamples = Annotated[Int, AT_LEAST_1, at_most(MOST_RESAMPLES)]
Samples = Annotated[Int, AT_LEAST_1, at_most(MOST_SAMPLES)]
StepsPictured = Annotated[Int, AT_LEAST_1, at_most(MOST_STEPS_PICTURED)]
Images = Annotated[Int, rule(lambda n: n >= 2, "give at least 2"), at_most(MOST_IMAGES)]
Several = Annotated[Int, rule(lambda n: n >= 2, "give a whole number of at least 2"), at_most(MOST)]
Whole = Annotated[Int, NOT_NEGATIVE, at_most(MOST)]
Operations = Annotated[Int, NOT_NEGATIVE, at_most(MOST_OPERATIONS)]
Views = Annotated[Int, NOT_NEGATIVE, at_most(MOST_VIEWS)]
Workers = Annotated[
    Int, NOT_NEGATIVE, rule(lambda n: n <= most_processes(), f"this machine can take {most_processes()}")
]
Seed = Annotated[Int, rule(lambda n: 0 <= n < 2**32, "give a whole number from 0 to 4294967295")]
Amount = Annotated[
    Float,
    rule(lambda x: 0 <= x < math.inf, "give a finite number that is not negative"),
    rule(lambda x: x <= LARGEST, f"give at most {LARGEST:g}"),
]
Amounts = Annotated[list[Amount], rule(lambda xs: len(set(xs)) == len(xs) > 1, "give at least two different numbers")]
Positive = Annotated[
    Float,
    rule(lambda x: 0 < x < math.inf, "give a positive number"),
    rule(lambda x: x <= LARGEST, f"give at most {LARGEST:g}"),
]
Share = Annotated[Float, rule(lambda x: 0 <= x < 1, "give a number from 0 to below 1")]
HalfShare = Annotated[Float, rule(lambda x: 0 <= x <= 0.5, "give a number from 0 to 0.5")]
Areas = Annotated[
    list[Float], rule(lambda s: len(s) == 2 and 0 < s[0] <= s[1] <= 1, "give two shares up to 1, such as [0.08,1]")
]
Ratios = Annotated[
    list[Float], rule(lambda r: len(r) == 2 and 0 < r[0] <= r[1] < math.inf, "give two ratios, such as [0.75,1.3333]")
]
Steps = Annotated[list[Int], Rule(_checked_steps, "give a list of different whole numbers of at least 1")]
Batches = Annotated[
    list[AtOnce], rule(lambda ns: len(set(ns)) == len(ns) > 0, "give different batch sizes, such as [1,8,64]")
]
PathText = Annotated[str, Rule(paths.expanded, paths.EMPTY)]
FolderName = Annotated[str, Rule(paths.folder_name, "give the name of one folder")]
Threads = Annotated[Count, rule(lambda n: n <= (os.cpu_count() or 1), f"this machine has {os.cpu_count()}")]
Extractor = Annotated[str, one_of("classifier", "inception", "vgg16", "dinov2", "resnet56_cifar10")]
Precision = Annotated[str, one_of("32-true", "16-mixed", "bf16-mixed")]
