"""Studies: the points of runs that may be compared with each other, and no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from maskgit_lab.ablation.code import MEASURED, Code, by_code
from maskgit_lab.ablation.order import by_interest
from maskgit_lab.ablation.origins import DEBUG, Origins
from maskgit_lab.ablation.points import SHARED, Point, canonical
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.temperature import with_choices
from maskgit_lab.ablation.titles import titled
from maskgit_lab.runs.results import Row


def studies(runs: Iterable[Run], origins: Origins | None = None) -> list[Study]:
    """The studies of runs in the order of their interest, no two of one title; rows of external images belong to none.

    Args:
        runs: all of them, or what was chosen of them.
        origins: where the models of all runs come from; None: as these runs say.
    """
    runs = list(runs)
    known = origins or Origins.of(runs)
    groups: dict[str, list[Point]] = defaultdict(list)
    for run in runs:
        for row in run.points:
            whole, training = known.complete(run, row), known.run_of(run, row).training
            seeds = known.seeds_of(run, row)
            groups[_key(whole, training)].append(Point(whole, training, seeds, ((run, row),)))
    has_code = any(point.row.get(MEASURED) for points in groups.values() for point in points)
    families = [
        [
            _study(points, known.settings, code)
            for code, same in (by_code(alike, known.code) if has_code else [(Code(), alike)])
            for whole in _split_by_cas(same)
            for points in _split_unknown(whole)
        ]
        for alike in groups.values()
    ]
    return with_choices(titled(by_interest(families)), runs, known)


def _key(row: Row, training: str) -> str:
    return canonical([training, row.get(DEBUG) or "", *((key, row[key]) for key in SHARED if key in row)])


def _split_by_cas(points: Sequence[Point]) -> list[list[Point]]:
    """One study for each classifier of CAS; points without CAS join the only one, or are a study of their own."""
    by_cas: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        by_cas[str(point.row.get("cas_classifier", ""))].append(point)
    without = by_cas.pop("", [])
    if len(by_cas) == 1:
        return [[*without, *next(iter(by_cas.values()))]]
    return [*by_cas.values(), *([without] if without else [])]


def _split_unknown(points: list[Point]) -> list[list[Point]]:
    """Models of unknown training share a study only as long as no two of them claim the same place in it."""
    models: dict[tuple[str, Seeds], set[str]] = defaultdict(set)
    for point in points:
        models[point.schedule, point.seeds].add(point.model)
    if points[0].training or all(len(several) == 1 for several in models.values()):
        return [points]
    ordered = sorted(points, key=lambda point: point.model)
    return [list(group) for _, group in groupby(ordered, key=lambda point: point.model)]


def _study(points: Sequence[Point], settings_of: Mapping[str, Mapping[str, Any]], code: Code) -> Study:
    """Rows of the same point, which several evaluations with other metrics left, become one."""
    merged: dict[Any, Point] = {}
    for point in points:
        place = (point.schedule, point.decode_schedule, point.steps, point.setting, point.model, point.draw)
        before = merged.get(place)
        row, sources = ({**before.row, **point.row}, before.sources) if before else (point.row, ())
        merged[place] = Point(row, point.training, point.seeds, (*sources, *point.sources))
    settings = {key: points[0].row[key] for key in SHARED if key in points[0].row}
    cas = {point.row["cas_classifier"] for point in points if "cas_classifier" in point.row}
    settings |= {"cas_classifier": next(iter(cas))} if cas else {}
    training, debug = settings_of.get(points[0].training, {}), str(points[0].row.get(DEBUG) or "")
    return Study(settings, training, list(merged.values()), code, debug)
