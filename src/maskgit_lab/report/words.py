"""How names and numbers are written."""

from __future__ import annotations

from collections.abc import Iterable, Sized

from maskgit_lab.ablation.points import Value

NONE = "–"  # noqa: RUF001 a dash, for what was not measured


def label(key: str) -> str:
    """The name of a schedule or a setting as it is read: `square root`."""
    return key.replace("_", " ")


def count(n: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def is_or_are(several: Sized) -> str:
    """The verb for one or for many."""
    return "is" if len(several) == 1 else "are"


def format_value(value: float) -> str:
    """With three or four significant digits."""
    if abs(value) >= 99.95:
        return f"{value:.0f}" if abs(value) >= 999.95 else f"{value:.1f}"
    return f"{value:#.3g}"


def format_knob(value: Value | None) -> str:
    """The value of a knob: `4.5`, `0`, `halton`."""
    if value is None:
        return NONE
    return f"{value:g}" if isinstance(value, float) else value


def format_seeds(seeds: Iterable[int]) -> str:
    """`seed 0`, `seeds 0, 1`."""
    several = sorted(set(seeds))
    return f"seed{'' if len(several) == 1 else 's'} {', '.join(map(str, several))}"
