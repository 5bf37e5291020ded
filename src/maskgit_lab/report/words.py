"""How names and numbers are written."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sized

from maskgit_lab.ablation.curves import Curve
from maskgit_lab.ablation.points import Value
from maskgit_lab.ablation.reading import Seeds

MOST_DECIMALS = 4
ROUNDING = 1e-12  # of the mean, below which a deviation is that of equal numbers
NONE = "–"  # noqa: RUF001 a dash, for what was not measured


EDGE = "†"  # at a best T that is the first or the last
EDGE_NOTE = f"{EDGE} at the edge of the T that were measured: a better one may lie beyond."


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


def format_mean(mean: float, deviation: float | None) -> str:
    """`6.10 ± 0.14`, with as many decimals as the deviation gives reason for; `6.10` without one."""
    if not deviation or deviation < ROUNDING * abs(mean):
        return format_value(mean)
    first = math.floor(math.log10(deviation))
    decimals = min(max(-first + (deviation < 3 * 10.0**first), 0), MOST_DECIMALS)
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}"


def format_difference(value: float, interval: tuple[float, float] | None) -> str:
    """`-1.20 [-2.00, -0.40]`, with signs and a 95 % interval."""
    signed = [f"{'-' if each < 0 else '+'}{format_value(abs(each))}" for each in (value, *(interval or ()))]
    return signed[0] if interval is None else f"{signed[0]} [{signed[1]}, {signed[2]}]"


def format_count(n: int) -> str:
    """`227M`, `0.86M`, `4.3k`: with three significant digits."""
    unit, name = next(((unit, name) for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if n >= unit), (1.0, ""))
    return f"{n / unit:.{0 if n >= 100 * unit else 3}{'f' if n >= 100 * unit else 'g'}}{name}"


def format_knob(value: Value | None) -> str:
    """The value of a knob: `4.5`, `0`, `halton`."""
    if value is None:
        return NONE
    return f"{value:g}" if isinstance(value, float) else value


def format_best(curve: Curve) -> str:
    """The best T of a curve, with a dagger at the edge of what was compared: `8`, `32†`."""
    return f"{curve.best_steps}{EDGE * curve.is_at_edge}"


def format_seeds(seeds: Iterable[Seeds]) -> str:
    """`seed 0`, `seeds 0, 1`, `seeds 0, 1 of tokenizer 0 and 0 of tokenizer 1`."""
    of_tokenizer: dict[int, list[int]] = defaultdict(list)
    for one in sorted(set(seeds)):
        of_tokenizer[one.tokenizer].append(one.training)
    texts = [(tokenizer, ", ".join(map(str, several))) for tokenizer, several in sorted(of_tokenizer.items())]
    listed = " and ".join(f"{text} of tokenizer {tokenizer}" for tokenizer, text in texts)
    name = "seed" if sum(map(len, of_tokenizer.values())) == 1 else "seeds"
    return f"{name} {listed if len(texts) > 1 else texts[0][1]}"


def format_range(ends: tuple[int, int], what: str) -> str:
    """`1 draw`, `3 draws`, `1 to 3 draws`."""
    low, high = ends
    return count(low, what) if low == high else f"{low:,} to {count(high, what)}"
