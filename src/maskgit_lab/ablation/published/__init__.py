"""The paper's own numbers: Table 3 and FID against T on ImageNet 256 x 256, and the runtime figure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

AUTOREGRESSIVE, MASKGIT = "autoregressive_seconds", "maskgit_seconds"  # columns of figure_runtime.csv


@dataclass(frozen=True)
class PublishedRow:
    """A row of Table 3."""

    schedule: str  # the name of its config
    shape: str  # concave, linear or convex
    best_steps: int  # T of the lowest FID
    fid: float  # at that T, over 50,000 samples
    inception_score: float  # at that T
    nll: float  # the masked cross-entropy, in nats per token


@dataclass(frozen=True)
class PublishedTime:
    """A length of the runtime figure: seconds for the tokens of one image on one GPU."""

    tokens: int  # N
    autoregressive: float
    maskgit: float  # at T = 8

    @property
    def ratio(self) -> float:
        """How many times as long the autoregressive model takes."""
        return self.autoregressive / self.maskgit


@cache
def table3() -> Mapping[str, PublishedRow]:
    """MaskGIT, Table 3: rows by schedule, from the most concave to the most convex, as they are printed."""
    return {
        row["schedule"]: PublishedRow(
            row["schedule"],
            row["shape"],
            int(row["best_steps"]),
            *(float(row[key]) for key in ("fid", "inception_score", "nll")),
        )
        for row in csv.DictReader(_lines("table3.csv"))
    }


@cache
def fid_curves() -> Mapping[str, Mapping[int, float]]:
    """FID by T for each schedule; read off the vector paths of the figure, to within about 0.1."""
    rows = csv.DictReader(_lines("fid_vs_steps.csv"))
    return {row.pop("schedule"): {int(steps): float(fid) for steps, fid in row.items()} for row in rows}


@cache
def runtimes() -> tuple[PublishedTime, ...]:
    """The runtime figure by number of tokens, as its labels give the seconds."""
    rows = csv.DictReader(_lines("figure_runtime.csv"))
    return tuple(PublishedTime(int(row["tokens"]), *map(float, (row[AUTOREGRESSIVE], row[MASKGIT]))) for row in rows)


def in_order(schedules: Iterable[str]) -> list[str]:
    """The paper's schedules from the most concave to the most convex, then all others by name."""
    papers = list(table3())
    return sorted(set(schedules), key=lambda name: (papers.index(name) if name in papers else len(papers), name))


def _lines(name: str) -> list[str]:
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]
