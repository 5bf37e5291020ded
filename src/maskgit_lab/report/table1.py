"""The chapter in the form of the paper's Table 1: every model of the folder, and the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.baselines import trained_alike
from maskgit_lab.ablation.curves import spread
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.paired import Difference, difference
from maskgit_lab.ablation.published import PublishedModel, papers_baseline, papers_maskgit, table1
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.table1 import DISTANCE, MASKGIT, NLL, QUALITY, SECONDS, Entry, TableOne, tables
from maskgit_lab.metrics.registry import INCEPTION, TABLE
from maskgit_lab.report.samples import Picture
from maskgit_lab.report.table1_notes import (
    MINUS,
    PAPER,
    QUOTED,
    about_differences,
    name_of,
    notes_on,
    pair_name,
    resolution_of,
    warnings_on,
)
from maskgit_lab.report.tables import Table
from maskgit_lab.report.words import (
    EDGE,
    NONE,
    count,
    format_count,
    format_difference,
    format_mean,
)

HERE = "here"  # where a row is from
COLUMNS = (DISTANCE, *QUALITY)
LOWER = (DISTANCE, SECONDS)  # columns in which less is better
# Decimals of the columns as they are printed there; of CAS, two more than in percent would be too many.
PAPERS_DIGITS = {"fid": 2, "inception_score": 1, "precision": 2, "recall": 2, "cas_top1": 3, "cas_top5": 3}
CAS = {"cas_top1": "CAS top-1", "cas_top5": "CAS top-5"}
TITLE, DIFFERENCE = "In the form of the paper's Table 1", "MaskGIT minus its autoregressive baseline"


@dataclass(frozen=True)
class ModelsChapter:
    """The models that were measured alike."""

    number: int  # from 1
    title: str  # how they were measured
    groups: Sequence[Group]  # studies and baselines
    baselines: Sequence[Baseline]  # of these the autoregressive ones
    table: Table  # every model, and the paper's
    differences: Table  # MaskGIT minus its baselines, here and in the paper; no rows where there is no pair
    notes: Sequence[str]  # on the table
    about_differences: Sequence[str]  # what they are, and what their intervals hold
    numbers: Sequence[Mapping[str, Any]]  # the table as plain numbers
    warnings: Sequence[str] = ()  # what a reader has to know of the baselines
    pictures: Sequence[Picture] = ()  # of samples of the baselines


def models_chapters(
    every: Sequence[Study],
    known: Sequence[Baseline],
    names: Mapping[Path, str],
    pictures: Mapping[str, Sequence[Picture]] | None = None,
    *,
    bootstrap: int,
    seed: int,
) -> list[ModelsChapter]:
    """One chapter for each way of measuring.

    Args:
        every: all studies, with their baselines.
        known: all baselines, also those that are comparable with no study.
        names: short ones of the runs' folders.
        pictures: of samples, by the title of their baseline; None: none are shown.
        bootstrap: resamples of the intervals.
        seed: of the resamples.
    """
    chapters = []
    for number, models in enumerate(tables(every, known), 1):
        drawn = [picture for one in models.baselines for picture in (pictures or {}).get(one.title, ())]
        chapter = _chapter(number, models, bootstrap, seed)
        chapters.append(replace(chapter, warnings=warnings_on(models, names), pictures=drawn))
    return chapters


def _chapter(number: int, models: TableOne, bootstrap: int, seed: int) -> ModelsChapter:
    pairs = [
        found
        for study in models.studies
        for baseline in _to_compare(study)
        if (found := _pair(models, study, baseline, bootstrap, seed)) is not None
    ]
    return ModelsChapter(
        number,
        models.heading,
        (*models.studies, *models.baselines),
        models.baselines,
        _table(models),
        _differences(models, pairs),
        notes_on(models),
        about_differences(pairs, bootstrap),
        [*_numbers(models)],
    )


def _to_compare(study: Study) -> Sequence[Baseline]:
    """The baselines that were trained as the study, if there are any, and else all."""
    return [one for one in study.baselines if trained_alike(study, one)] or study.baselines


def _pair(models: TableOne, study: Study, baseline: Baseline, bootstrap: int, seed: int) -> Difference | None:
    """The paper's schedule, cosine, or else the one with the lowest distance."""
    values = {
        entry.name: spread(entry.values[DISTANCE])[0] or 0.0
        for entry in models.entries
        if entry.kind == MASKGIT and DISTANCE in entry.values and entry.name in {p.schedule for p in study.main}
    }
    if not values:
        return None
    schedule = "cosine" if "cosine" in values else min(values, key=lambda name: values[name])
    return difference(study, schedule, baseline, models.metrics, bootstrap=bootstrap, seed=seed)


def _table(models: TableOne) -> Table:
    is_fid = models.distance.key == TABLE["fid"].key_on(INCEPTION)
    distance = "FID" if is_fid else f"{models.distance.label} (paper: FID)"
    head = ["model", "from", distance, *(CAS.get(key, TABLE[key].label) for key in QUALITY)]
    head += ["parameters", "steps", "s/image", "NLL", "seeds"]
    cells = [*map(_cells, models.entries), *map(_papers_cells, _papers(models))]
    return Table(head, cells, _bold(models.entries), n_texts=2)


def _papers(models: TableOne) -> Sequence[PublishedModel]:
    """Those of the resolution with as many tokens."""
    found = table1(resolution_of(models))
    return sorted(found, key=lambda row: not row.is_own)


def _cells(entry: Entry) -> list[str]:
    n = len(entry.levels.seeds) if entry.levels else 0
    total = NONE if entry.sizes is None else format_count(sum(entry.sizes.values()))
    steps = NONE if entry.steps is None else f"{entry.steps:,}{EDGE * entry.is_at_edge}"
    bound = "≤ " if entry.kind == MASKGIT and entry.values.get(NLL) else ""
    numbers = [_number(entry, key, n) for key in COLUMNS]
    ends = [_number(entry, SECONDS, n), bound + _number(entry, NLL, n), str(n) if n else NONE]
    return [name_of(entry), HERE, *numbers, total, steps, *ends]


def _number(entry: Entry, key: str, n: int) -> str:
    """The mean over models, with the number of those that have it where not all do."""
    several = entry.values.get(key, ())
    mean, deviation = spread(several)
    if mean is None:
        return NONE
    text = format_mean(mean, deviation)
    return text if len(several) == n or not n else f"{text} ({count(len(several), 'seed')})"


def _papers_cells(row: PublishedModel) -> list[str]:
    given = [(getattr(row, key), digits) for key, digits in PAPERS_DIGITS.items()]
    numbers = [NONE if value is None else f"{value:.{digits}f}" for value, digits in given]
    source = PAPER if row.is_own else QUOTED
    return [row.model, source, *numbers, row.parameters or NONE, row.steps or NONE, NONE, NONE, NONE]


def _bold(entries: Sequence[Entry]) -> frozenset[tuple[int, int]]:
    """The best model of ours in each column."""
    bold = set()
    models = [(i, entry) for i, entry in enumerate(entries) if entry.levels is not None]
    columns = {key: column for column, key in enumerate(COLUMNS, 2)} | {SECONDS: len(COLUMNS) + 4}
    for key, column in columns.items():
        means = {i: mean for i, entry in models if (mean := spread(entry.values.get(key, ()))[0]) is not None}
        if len(set(means.values())) > 1:
            best = (min if key in LOWER else max)(means.values())
            bold |= {(i, column) for i, mean in means.items() if mean == best}
    return frozenset(bold)


def _differences(models: TableOne, pairs: Sequence[Difference]) -> Table:
    """A row for each metric that was measured of any pair, and the paper's difference beside ours."""
    pairs = [pair for pair in pairs if pair.values]
    ours, theirs = papers_maskgit(resolution_of(models)), papers_baseline(resolution_of(models))
    cells = []
    for metric in models.metrics:
        found = [pair.values.get(metric.key) for pair in pairs]
        if any(found):
            here = [NONE if value is None else format_difference(*value) for value in found]
            key = "fid" if metric == models.distance else metric.key
            cells.append([CAS.get(metric.key, metric.label), *here, _papers_difference(ours, theirs, key)])
    head = ["", *map(pair_name, pairs), f"{PAPER}: {ours.model}{MINUS}{theirs.model}"]
    return Table(head, cells)


def _papers_difference(ours: PublishedModel, theirs: PublishedModel, key: str) -> str:
    first, second = getattr(ours, key), getattr(theirs, key)
    return NONE if first is None or second is None else f"{first - second:+.{PAPERS_DIGITS[key]}f}"


def _numbers(models: TableOne) -> Iterator[Mapping[str, Any]]:
    for entry in models.entries:
        row: dict[str, Any] = {"model": name_of(entry), "from": HERE, "metric": models.distance.key}
        for key in (*COLUMNS, SECONDS, NLL):
            mean, deviation = spread(entry.values.get(key, ()))
            row |= {key: mean, f"{key}_std": deviation, f"{key}_models": len(entry.values.get(key, ()))}
        sizes = entry.sizes or {}
        row |= {"transformer_parameters": sizes.get("transformer"), "tokenizer_parameters": sizes.get("tokenizer")}
        yield row | {"steps": entry.steps, "timed_on": entry.timed_on, "nll_is_bound": entry.kind == MASKGIT}
    for paper in _papers(models):
        values = {DISTANCE: paper.fid, **{key: getattr(paper, key) for key in QUALITY}}
        about = {"model": paper.model, "from": paper.source, "metric": "fid"}
        yield about | values | {"parameters": paper.parameters, "steps": paper.steps}
