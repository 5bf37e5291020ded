"""Studies: the points of runs that may be compared with each other, and no others."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from maskgit_lab.ablation.results import SETTINGS, STANDARD_SAMPLES, Row
from maskgit_lab.ablation.rows import is_point
from maskgit_lab.ablation.runs import Run
from maskgit_lab.metrics.names import distance_name

# What the points of a study may differ in.
COMPARED = ("schedule", "decode_schedule", "steps", "choice_temperature", "guidance")
REPEATED = ("model", "seed")  # points that differ in these alone are repeats of each other
SHARED = tuple(key for key in SETTINGS if key not in (*COMPARED, *REPEATED, "metrics", "cas_classifier"))


@dataclass(frozen=True)
class Point:
    """One point of a curve.

    Args:
        row: all that was measured there, also by several evaluations.
        training: of its model.
        sources: the runs and their rows that this was read from.
    """

    row: Row
    training: str
    sources: tuple[tuple[Run, Row], ...]

    @property
    def grid(self) -> Path | None:
        """A picture of its samples, if there is one."""
        found = (run.grid(row) for run, row in self.sources)
        return next((path for path in found if path is not None), None)

    @property
    def repeat(self) -> tuple[str, int]:
        """The model and the seed: what tells it from other measurements of the same point."""
        return str(self.row.get("model", "")), int(self.row.get("seed", 0))

    def value(self, key: str) -> float | None:
        """A number of the row; None where it was not measured, or is not finite."""
        value = self.row.get(key)
        good = isinstance(value, int | float) and abs(value) < float("inf")  # false for NaN as well
        return float(value) if good and value is not None else None


@dataclass(frozen=True)
class Study:
    """Points that were measured in the same way, of models that were trained in the same way.

    Args:
        settings: what all of the rows agree in.
        training: what all of the models' configs agree in, by dotted keys; empty if that is not known.
        points: every point.
    """

    settings: Mapping[str, Any]
    training: Mapping[str, Any]
    points: Sequence[Point]

    @property
    def data(self) -> str:
        """The name of the data."""
        return str(self.settings.get("data", "unknown data"))

    @property
    def features(self) -> str:
        """The name of the extractor."""
        return str(self.settings.get("features", "no"))

    @property
    def n_samples(self) -> int:
        """Samples of each point."""
        return int(self.settings["n_samples"])

    @property
    def is_biased(self) -> bool:
        """Whether there are fewer samples than the standard, so that distances are too high."""
        return self.n_samples < STANDARD_SAMPLES

    @property
    def distance(self) -> str:
        """The key of the Fréchet distance in the rows."""
        return distance_name(self.features)

    @property
    def distance_label(self) -> str:
        """FID with the Inception network of 2015, FD with any other."""
        return "FID" if self.distance == "fid" else "FD"

    @property
    def title(self) -> str:
        """What tells it from most others."""
        reference = self.settings.get("reference", "none")
        return f"{self.data}, {self.features} features, {self.n_samples:,} samples, reference {reference}"

    @property
    def slug(self) -> str:
        """A name for files."""
        said = f"{self.data}-{self.features}-{self.n_samples}"
        return "".join(c if c.isalnum() or c in "-_" else "_" for c in said)[:60]

    @property
    def runs(self) -> list[Run]:
        """Where its points come from."""
        return list({run.path: run for point in self.points for run, _ in point.sources}.values())

    @property
    def seeds(self) -> list[int]:
        """In order."""
        return sorted({point.repeat[1] for point in self.points})

    @cached_property
    def main_setting(self) -> tuple[float, float]:
        """The choice temperature and the guidance that most points have where decoding follows training."""
        plain = [p for p in self.points if not _is_decoupled(p)] or self.points
        return Counter(_setting(p) for p in plain).most_common(1)[0][0]

    @cached_property
    def main(self) -> list[Point]:
        """Points of the curves over T: decoded by the schedule of the training, at the main setting."""
        return [p for p in self.points if not _is_decoupled(p) and _setting(p) == self.main_setting]

    @cached_property
    def surfaces(self) -> dict[str, list[Point]]:
        """By schedule, where there are choice temperatures to compare: points over T and choice temperature."""
        plain = [p for p in self.points if not _is_decoupled(p) and _setting(p)[1] == self.main_setting[1]]
        return _of_models_with_several(plain, "choice_temperature")

    @cached_property
    def guided(self) -> dict[str, list[Point]]:
        """By schedule, where there are guidance scales to compare: points over T and guidance."""
        plain = [p for p in self.points if not _is_decoupled(p) and _setting(p)[0] == self.main_setting[0]]
        return _of_models_with_several(plain, "guidance")

    @cached_property
    def decoupled(self) -> list[Point]:
        """Points of the square of training and decoding schedules, its diagonal included; none without any off it."""
        some = any(_is_decoupled(point) for point in self.points)
        return [p for p in self.points if _setting(p) == self.main_setting] if some else []


def studies(runs: Iterable[Run]) -> list[Study]:
    """The studies of runs, the one with most points first; rows of loose images belong to none."""
    rows = [(run, row) for run in runs for row in run.rows if is_point(row)]
    known = {str(row.get("model")): run for run, row in rows if run.training}
    groups: dict[str, list[Point]] = defaultdict(list)
    for run, row in rows:
        trained = run if run.training else known.get(str(row.get("model")), run)
        groups[_key(row, trained.training)].append(Point(row, trained.training, ((run, row),)))
    found = [part for points in groups.values() for whole in _split_by_cas(points) for part in _split_unknown(whole)]
    settings_of = {run.training: run.settings for run in known.values()}
    made = [_study(points, settings_of) for points in found]
    return sorted(made, key=lambda study: (-len(study.points), study.title))


def differences(every: Sequence[Study]) -> list[dict[str, Any]]:
    """For each study, the settings of evaluation and training in which studies of the same title do not agree."""
    return [_apart(study, [other for other in every if other.title == study.title]) for study in every]


def _apart(study: Study, alike: Sequence[Study]) -> dict[str, Any]:
    """What is not known of the training of some study sets no other apart."""
    measured = _disagreed(study.settings, [other.settings for other in alike])
    trained = _disagreed(study.training, [other.training for other in alike if other.training])
    return measured | trained


def _disagreed(mine: Mapping[str, Any], every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: v for key, v in mine.items() if len({_canonical(other.get(key)) for other in every}) > 1}


def _key(row: Row, training: str) -> str:
    return _canonical([training, *((key, row[key]) for key in SHARED if key in row)])


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


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
    if points[0].training:
        return [points]
    models: dict[tuple[str, int], set[str]] = defaultdict(set)
    for point in points:
        models[str(point.row["schedule"]), point.repeat[1]].add(point.repeat[0])
    if all(len(several) == 1 for several in models.values()):
        return [points]
    ordered = sorted(points, key=lambda point: point.repeat[0])
    return [list(group) for _, group in groupby(ordered, key=lambda point: point.repeat[0])]


def _study(points: Sequence[Point], settings_of: Mapping[str, Mapping[str, Any]]) -> Study:
    """Rows of the same point, which several evaluations with other metrics left, become one."""
    merged: dict[str, Point] = {}
    for point in points:
        place = _canonical([point.row.get(key) for key in (*COMPARED, *REPEATED)])
        before = merged.get(place, point)
        sources = point.sources if before is point else (*before.sources, *point.sources)
        merged[place] = Point({**before.row, **point.row}, point.training, sources)
    settings = {key: points[0].row[key] for key in SHARED if key in points[0].row}
    cas = {point.row["cas_classifier"] for point in points if "cas_classifier" in point.row}
    settings |= {"cas_classifier": next(iter(cas))} if cas else {}
    return Study(settings, settings_of.get(points[0].training, {}), list(merged.values()))


def _is_decoupled(point: Point) -> bool:
    return point.row.get("decode_schedule", point.row["schedule"]) != point.row["schedule"]


def _setting(point: Point) -> tuple[float, float]:
    return float(point.row.get("choice_temperature", 0.0)), float(point.row.get("guidance", 0.0))


def _of_models_with_several(points: Iterable[Point], key: str) -> dict[str, list[Point]]:
    """The points of those models that were measured with several values of a setting, by schedule."""
    by_model: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for point in points:
        by_model[str(point.row["schedule"]), point.repeat[0]].append(point)
    found: dict[str, list[Point]] = defaultdict(list)
    for (schedule, _), several in by_model.items():
        if len({point.row.get(key) for point in several}) > 1:
            found[schedule] += several
    return dict(found)
