"""The paper's own numbers: Tables 1, 2 and 3, and the figures of FID against T and of the runtime."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

BASELINE, MASKGIT, REAL = "VQGAN (same hyper-parameters)", "MaskGIT", "Real data"  # rows of Table 1


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


@dataclass(frozen=True)
class PublishedModel:
    """A row of Table 1; None is what the paper does not give."""

    resolution: int  # of the images of ImageNet
    model: str  # as the paper names it
    fid: float | None
    inception_score: float | None
    precision: float | None  # in [0, 1]
    recall: float | None  # in [0, 1]
    cas_top1: float | None  # in [0, 1]
    cas_top5: float | None  # in [0, 1]
    parameters: str  # as printed: `227M`
    steps: str  # as printed: `>1024`
    source: str  # where the paper has it from

    @property
    def is_own(self) -> bool:
        """Whether the authors measured it themselves."""
        return "quoted" not in self.source


@dataclass(frozen=True)
class PublishedEdit:
    """A row of Table 2."""

    task: str  # as edits here name it: `inpaint`
    hole: str  # likewise: `center50`
    model: str  # as the paper names it
    fid: float
    inception_score: float

    @property
    def is_own(self) -> bool:
        """Whether it is of the paper's own model."""
        return self.model == MASKGIT


@cache
def table1(resolution: int = 256) -> Sequence[PublishedModel]:
    """MaskGIT, Table 1 of one resolution, as it is ordered there; with CAS of real images, from section 4.2."""
    rows = csv.DictReader(_lines("table1.csv"))
    return tuple(_model(row) for row in rows if int(row["resolution"]) == resolution)


def papers_baseline(resolution: int = 256) -> PublishedModel:
    """The autoregressive transformer of MaskGIT's size, on its tokenizer."""
    return next(row for row in table1(resolution) if row.model == BASELINE)


def papers_maskgit(resolution: int = 256) -> PublishedModel:
    """MaskGIT itself."""
    return next(row for row in table1(resolution) if row.model == MASKGIT)


@cache
def table2() -> Sequence[PublishedEdit]:
    """MaskGIT, Table 2, as it is ordered there."""
    return tuple(
        PublishedEdit(row["task"], row["hole"], row["model"], float(row["fid"]), float(row["inception_score"]))
        for row in csv.DictReader(_lines("table2.csv"))
    )


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
    return tuple(
        PublishedTime(int(row["tokens"]), float(row["autoregressive_seconds"]), float(row["maskgit_seconds"]))
        for row in rows
    )


def in_order(schedules: Iterable[str]) -> list[str]:
    """The paper's schedules from the most concave to the most convex, then all others by name."""
    papers = list(table3())
    return sorted(set(schedules), key=lambda name: (papers.index(name) if name in papers else len(papers), name))


def _model(row: Mapping[str, str]) -> PublishedModel:
    keys = ("fid", "inception_score", "precision", "recall", "cas_top1", "cas_top5")
    of = {key: float(row[key]) / (100 if key.startswith("cas") else 1) if row[key] else None for key in keys}
    numbers = (of["fid"], of["inception_score"], of["precision"], of["recall"], of["cas_top1"], of["cas_top5"])
    return PublishedModel(int(row["resolution"]), row["model"], *numbers, row["params"], row["steps"], row["source"])


def _lines(name: str) -> list[str]:
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]
