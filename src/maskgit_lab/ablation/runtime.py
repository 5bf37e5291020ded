"""The runtime figure in numbers: seconds per image by decoder, number of tokens and batch size, beside the paper's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, NamedTuple

from maskgit_lab.ablation.published import PublishedTime, runtimes
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.timings import CPU, EXPECTED, FAULT, HIGHEST, LOWEST, SECONDS

# Keys of rows that may stand in one figure; in others, such as the weights, rows of one line may differ.
SHARED = (
    *("weights", "data", "debug", "depth", "heads", "width", "mlp_width", "codes", "classes", "precision"),
    *("guidance", "device", "threads"),
)
MASKGIT, CACHED, UNCACHED = "MaskGIT", "autoregressive, KV cache", "autoregressive, no cache"
TOKENIZER = "tokenizer"  # what makes pixels of tokens, whatever decoded them
PAPERS_STEPS = 8  # T of the paper's MaskGIT


class Place(NamedTuple):
    """A cell of the figure."""

    line: str  # what the line is called
    tokens: int  # N
    batch_size: int


@dataclass(frozen=True)
class Timed:
    """The seconds of a cell, an image."""

    seconds: float  # the median of the repetitions, and of the models where several were timed
    lowest: float
    highest: float
    n: int  # repetitions, of all models together
    cpu_seconds: float | None  # of the process; None: unknown


@dataclass(frozen=True)
class Runtimes:
    """What was timed with one network on one device."""

    settings: Mapping[str, Any]  # that all rows share
    rows: Sequence[Row]  # the last of each cell and model

    @cached_property
    def times(self) -> dict[Place, Timed]:
        """The cells that were measured, those of the tokenizer too."""
        cells: dict[Place, list[Row]] = defaultdict(list)
        for row in self.rows:
            if SECONDS in row:
                cells[_place(row)].append(row)
        return {place: _timed(rows) for place, rows in sorted(cells.items())}

    @property
    def lines(self) -> list[str]:
        """The decoders: MaskGIT by T, then the autoregressive ones, without a cache first."""
        names = {_line(row): row.get("steps") or 10**9 for row in self.rows}
        found = {line: (steps, line != UNCACHED) for line, steps in names.items() if line != TOKENIZER}
        return sorted(found, key=lambda line: (found[line], line))

    @property
    def batch_sizes(self) -> list[int]:
        """Ascending."""
        return sorted({row["batch_size"] for row in self.rows})

    @property
    def left_out(self) -> dict[Place, str]:
        """The cells that were not measured, and why."""
        reasons = {_place(row): _reason(row) for row in self.rows if SECONDS not in row}
        return {place: why for place, why in sorted(reasons.items()) if place not in self.times}


@dataclass(frozen=True)
class Ratio:
    """How many times as long an autoregressive model takes as MaskGIT."""

    place: Place  # of the autoregressive model
    steps: int  # T of MaskGIT
    ratio: float
    of_cpu: float | None  # the ratio of the CPU time, on a CPU
    papers: float | None  # the ratio of the paper's times at this number of tokens, if it has them

    @property
    def on_paper(self) -> float:
        """N / 2T, where each of N steps without a cache runs on half of the tokens on average."""
        return self.place.tokens / (2 * self.steps)


def runtimes_of(rows: Iterable[Row]) -> list[Runtimes]:
    """Rows of any number of files, by what they share; the latest row of a cell and a model counts."""
    groups: dict[tuple[Any, ...], dict[Any, Row]] = defaultdict(dict)
    for row in rows:
        known = {name: value for name in SHARED if not isinstance(value := row.get(name), list | dict)}
        key = tuple((name, value) for name, value in known.items() if value)  # no guidance is guidance 0
        cell = (_place(row), row.get("model"))
        before = groups[key].pop(cell, None)
        groups[key][cell] = before if before is not None and SECONDS in before and SECONDS not in row else row
    return [Runtimes(dict(key), list(cells.values())) for key, cells in groups.items()]


def ratios(of: Runtimes) -> list[Ratio]:
    """Of each autoregressive decoder to MaskGIT at the paper's T, or else the lowest T, in the order of the cells."""
    times = of.times
    every = sorted({row["steps"] for row in of.rows if _line(row).startswith(MASKGIT)})
    steps = PAPERS_STEPS if PAPERS_STEPS in every or not every else every[0]
    papers = {one.tokens: one.ratio for one in runtimes()}
    found = []
    for place, one in times.items():
        other = times.get(place._replace(line=maskgit_line(steps)))
        if place.line in (UNCACHED, CACHED) and other is not None:
            of_cpu = _of_cpu(of, one, other)
            found.append(Ratio(place, steps, one.seconds / other.seconds, of_cpu, papers.get(place.tokens)))
    return found


def speedups(of: Runtimes) -> dict[tuple[int, int], tuple[float, float | None]]:
    """How many times as fast the KV cache makes the autoregressive model, by batch size and number of tokens; on a CPU
    by its CPU time too.
    """
    times = of.times
    return {
        (place.batch_size, place.tokens): (one.seconds / times[cached].seconds, _of_cpu(of, one, times[cached]))
        for place, one in times.items()
        if place.line == UNCACHED and (cached := place._replace(line=CACHED)) in times
    }


def maskgit_line(steps: int) -> str:
    """What MaskGIT at some T is called."""
    return f"{MASKGIT}, T = {steps}"


def published_lines() -> dict[str, list[tuple[int, float]]]:
    """The paper's two lines: tokens and seconds."""
    found: Sequence[PublishedTime] = runtimes()
    return {
        maskgit_line(PAPERS_STEPS): [(one.tokens, one.maskgit) for one in found],
        UNCACHED: [(one.tokens, one.autoregressive) for one in found],
    }


def _place(row: Row) -> Place:
    return Place(_line(row), row["tokens"], row["batch_size"])


def _line(row: Row) -> str:
    if "kv_cache" in row:
        return CACHED if row["kv_cache"] else UNCACHED
    name = MASKGIT if row["decoder"] == "maskgit" else str(row["decoder"])
    return f"{name}, T = {row['steps']}" if "steps" in row else name


def _timed(rows: Sequence[Row]) -> Timed:
    return Timed(
        median(row[SECONDS] for row in rows),
        min(row[LOWEST] for row in rows),
        max(row[HIGHEST] for row in rows),
        sum(row["n"] for row in rows),
        median(row[CPU] for row in rows),
    )


def _of_cpu(of: Runtimes, one: Timed, other: Timed) -> float | None:
    if of.settings.get("device") != "cpu" or not one.cpu_seconds or not other.cpu_seconds:
        return None
    return one.cpu_seconds / other.cpu_seconds


def _reason(row: Row) -> str:
    return f"a batch would take about {row[EXPECTED]:,.0f} s" if EXPECTED in row else str(row[FAULT])
