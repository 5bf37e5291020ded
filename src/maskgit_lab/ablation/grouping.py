"""Putting rows together that were measured in the same way, of models that were trained in the same way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from maskgit_lab.ablation.code import MEASURED, Code, by_code
from maskgit_lab.ablation.origins import DEBUG, Origins
from maskgit_lab.ablation.points import SHARED, Point, canonical
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.runs.results import Row

Alike = tuple[Code, list[Point]]  # points of one group, and the code that they come from


def families(runs: Iterable[Run], rows: Callable[[Run], Sequence[Row]], origins: Origins) -> list[list[Alike]]:
    """The groups of points; those of a family differ only in the code that they come from, or in what is not known.

    Args:
        runs: where the rows are.
        rows: those of a run that are grouped.
        origins: where their models come from.
    """
    groups: dict[str, list[Point]] = defaultdict(list)
    for run in runs:
        for row in rows(run):
            whole, trained = origins.complete(run, row), origins.run_of(run, row)
            seeds = origins.seeds_of(run, row)
            point = Point(whole, trained.training, seeds, ((run, row),), trained.sizes)
            groups[_key(whole, trained.training)].append(point)
    has_code = any(point.row.get(MEASURED) for points in groups.values() for point in points)
    return [
        [
            (code, merged(points))
            for code, same in (by_code(alike, origins.code) if has_code else [(Code(), alike)])
            for whole in _split_by_cas(same)
            for points in _split_unknown(whole)
        ]
        for alike in groups.values()
    ]


def merged(points: Iterable[Point]) -> list[Point]:
    """Rows of the same point, which several evaluations with other metrics left, become one."""
    found: dict[Any, Point] = {}
    for point in points:
        before = found.get(point.place)
        row, sources = ({**before.row, **point.row}, before.sources) if before else (point.row, ())
        found[point.place] = replace(point, row=row, sources=(*sources, *point.sources))
    return list(found.values())


def shared(
    points: Sequence[Point], code: Code, settings_of: Mapping[str, Mapping[str, Any]]
) -> tuple[Mapping[str, Any], Mapping[str, Any], list[Point], Code, str]:
    """What a group of these points is made of: settings, training, points, code and debug config."""
    first = points[0]
    settings = {key: first.row[key] for key in SHARED if key in first.row}
    cas = {point.row["cas_classifier"] for point in points if "cas_classifier" in point.row}
    settings |= {"cas_classifier": next(iter(cas))} if cas else {}
    return settings, settings_of.get(first.training, {}), list(points), code, str(first.row.get(DEBUG) or "")


def _key(row: Row, training: str) -> str:
    return canonical([training, row.get(DEBUG) or "", *((key, row[key]) for key in SHARED if key in row)])


def _split_by_cas(points: Sequence[Point]) -> list[list[Point]]:
    """One group for each classifier of CAS; points without CAS join the only one, or are a group of their own."""
    by_cas: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        by_cas[str(point.row.get("cas_classifier", ""))].append(point)
    without = by_cas.pop("", [])
    if len(by_cas) == 1:
        return [[*without, *next(iter(by_cas.values()))]]
    return [*by_cas.values(), *([without] if without else [])]


def _split_unknown(points: list[Point]) -> list[list[Point]]:
    """Models of unknown training share a group only as long as no two of them claim the same place in it."""
    models: dict[tuple[str, Seeds], set[str]] = defaultdict(set)
    for point in points:
        models[point.kind, point.seeds].add(point.model)
    if points[0].training or all(len(several) == 1 for several in models.values()):
        return [points]
    ordered = sorted(points, key=lambda point: point.model)
    return [list(group) for _, group in groupby(ordered, key=lambda point: point.model)]
