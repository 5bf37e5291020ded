"""Studies: the points of runs that may be compared with each other, and no others."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from maskgit_lab.ablation.reading import Run
from maskgit_lab.metrics.registry import TABLE, Metric
from maskgit_lab.runs.results import SETTINGS, Row, knobs

STEPS, DECODER, DECODE_SCHEDULE = "steps", "decoder", "decode_schedule"
COMPARED = ("schedule", DECODE_SCHEDULE, STEPS, DECODER)  # and the decoder's own knobs
REPEATED = ("model", "seed")  # points that differ in these alone are repeats of each other
SHARED = tuple(key for key in SETTINGS if key not in (*COMPARED, *REPEATED, "metrics", "cas_classifier"))
Value = float | str  # of a knob; everything but numbers as text
Setting = tuple[tuple[str, Value], ...]  # every knob and its value, by name


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    row: Row  # everything that was measured there, also by several evaluations
    training: str  # of its model
    sources: tuple[tuple[Run, Row], ...]  # the runs and their rows that this was read from

    @property
    def schedule(self) -> str:
        """The mask schedule that its model was trained with."""
        return str(self.row["schedule"])

    @property
    def decode_schedule(self) -> str:
        """The mask schedule that it was decoded with."""
        return str(self.row.get(DECODE_SCHEDULE, self.schedule))

    @property
    def steps(self) -> int:
        return int(self.row["steps"])

    @cached_property
    def setting(self) -> Setting:
        """The decoder's knobs, and its name where it has one."""
        named = {DECODER: self.row[DECODER]} if DECODER in self.row else {}
        return tuple(sorted((key, _value(value)) for key, value in {**knobs(self.row), **named}.items()))

    @property
    def repeat(self) -> tuple[int, str]:
        """Seed and model: what distinguishes it from other measurements of the same point."""
        return int(self.row.get("seed", 0)), str(self.row.get("model", ""))

    def value(self, key: str) -> float | None:
        """A number of the row; None where it was not measured, or is not finite."""
        value = self.row.get(key)
        finite = isinstance(value, int | float) and abs(value) < float("inf")  # false for NaN as well
        return float(value) if finite and value is not None else None

    def knob(self, key: str) -> Value | None:
        """The value of a knob, or the decoding schedule; None if its decoder has no such knob."""
        return self.decode_schedule if key == DECODE_SCHEDULE else dict(self.setting).get(key)

    def x(self, over: str) -> float:
        """T, or a knob that is a number.

        Raises:
            TypeError: the knob is a word, or its decoder has none.
        """
        value = self.steps if over == STEPS else self.knob(over)
        if not isinstance(value, int | float):
            raise TypeError(f"{over} = {value} is not a number")
        return value


@dataclass(frozen=True)
class Study:
    """Points that were measured in the same way, of models that were trained in the same way."""

    settings: Mapping[str, Any]  # what all of the rows agree in
    training: Mapping[str, Any]  # what all of the models' configs agree in, by dotted keys; empty if that is not known
    points: Sequence[Point]  # every point

    @property
    def data(self) -> str:
        return str(self.settings.get("data", "unknown data"))

    @property
    def features(self) -> str:
        return str(self.settings.get("features", "no"))

    @property
    def n_samples(self) -> int:
        return int(self.settings["n_samples"])

    @cached_property
    def distance(self) -> Metric:
        """The Fréchet distance: FID with the Inception network of 2015, FD with any other extractor."""
        return TABLE["fid"].on(self.features)

    @property
    def title(self) -> str:
        """What distinguishes it from most others."""
        reference = self.settings.get("reference", "none")
        return f"{self.data}, {self.features} features, {self.n_samples:,} samples, reference {reference}"

    @property
    def runs(self) -> list[Run]:
        """Where its points come from."""
        return list({run.path: run for point in self.points for run, _ in point.sources}.values())

    @property
    def seeds(self) -> list[int]:
        return sorted({point.repeat[0] for point in self.points})

    @cached_property
    def coupled(self) -> list[Point]:
        """Points that were decoded by the schedule of the training."""
        return [p for p in self.points if p.decode_schedule == p.schedule]

    @cached_property
    def main_setting(self) -> Setting:
        """The most common combination of knobs where decoding follows training."""
        return _most_common(self.coupled or self.points)

    @cached_property
    def main(self) -> list[Point]:
        """Points of the curves over T: decoded by the schedule of the training, at the main setting."""
        return [p for p in self.coupled if p.setting == self.main_setting]

    @cached_property
    def decoupled(self) -> list[Point]:
        """Points of the square of training and decoding schedules, its diagonal included; none without any off it."""
        has_some = len(self.coupled) < len(self.points)
        return [p for p in self.points if p.setting == self.main_setting] if has_some else []

    @property
    def hidden(self) -> int:
        """How many points are in no section, since their settings differ from the main ones."""
        swept = (p for knob in self._varied for points in self.along(knob).values() for p in points)
        return len(self.points) - len({id(point) for point in (*self.main, *self.decoupled, *swept)})

    @cached_property
    def axes(self) -> list[str]:
        """Knobs with several values, all of them numbers; points without the knob are left out."""
        known = {key: values - {None} for key, values in self._varied.items()}
        return [key for key, values in known.items() if len(values) > 1 and all(isinstance(v, float) for v in values)]

    @cached_property
    def words(self) -> list[str]:
        """All other knobs with several values, of which one may be that there is none; the decoder is one of them."""
        return [key for key in self._varied if key not in self.axes]

    def along(self, knob: str) -> dict[str, list[Point]]:
        """By schedule, the points that differ from the main setting in this knob alone.

        Only those of models that were measured with several of its values. Different decoders have different knobs,
        so each is taken at its own most common setting.
        """
        by_model: dict[tuple[str, str], list[Point]] = defaultdict(list)
        for point in self._comparable(knob):
            by_model[point.schedule, point.repeat[1]].append(point)
        found: dict[str, list[Point]] = defaultdict(list)
        for (schedule, _), points in by_model.items():
            if len({point.knob(knob) for point in points}) > 1:
                found[schedule] += points
        return dict(found)

    @cached_property
    def _varied(self) -> dict[str, set[Value | None]]:
        """The values of each knob that has several; None is one of them where some points have no such knob."""
        keys = sorted({key for point in self.points for key, _ in point.setting})
        values = {key: {point.knob(key) for point in self.points} for key in keys}
        return {key: several for key, several in values.items() if len(several) > 1}

    def _comparable(self, knob: str) -> list[Point]:
        if knob == DECODER:
            names = {p.knob(DECODER) for p in self.coupled}
            common = {name: _most_common(p for p in self.coupled if p.knob(DECODER) == name) for name in names}
            return [p for p in self.coupled if p.setting == common[p.knob(DECODER)]]
        others = _without(self.main_setting, knob)
        alike = [p for p in self.coupled if _without(p.setting, knob) == others]
        return [p for p in alike if p.knob(knob) is not None] if knob in self.axes else alike


def studies(runs: Iterable[Run]) -> list[Study]:
    """The studies of runs, the one with most points first; rows of external images belong to none."""
    rows = [(run, row) for run in runs for row in run.points]
    known = {str(row.get("model")): run for run, row in rows if run.training}
    groups: dict[str, list[Point]] = defaultdict(list)
    for run, row in rows:
        trained = run if run.training else known.get(str(row.get("model")), run)
        groups[_key(row, trained.training)].append(Point(row, trained.training, ((run, row),)))
    parts = [part for points in groups.values() for whole in _split_by_cas(points) for part in _split_unknown(whole)]
    settings_of = {run.training: run.settings for run in known.values()}
    made = [_study(points, settings_of) for points in parts]
    return sorted(made, key=lambda study: (-len(study.points), study.title))


def differences(every: Sequence[Study]) -> list[dict[str, Any]]:
    """For each study, the settings of evaluation and training in which studies of the same title do not agree."""
    return [_apart(study, [other for other in every if other.title == study.title]) for study in every]


def _apart(study: Study, alike: Sequence[Study]) -> dict[str, Any]:
    """A study whose training is not known is not set apart from the others by that."""
    measured = _disagreed(study.settings, [other.settings for other in alike])
    trained = _disagreed(study.training, [other.training for other in alike if other.training])
    return measured | trained


def _disagreed(mine: Mapping[str, Any], every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: v for key, v in mine.items() if len({_canonical(other.get(key)) for other in every}) > 1}


def _key(row: Row, training: str) -> str:
    return _canonical([training, *((key, row[key]) for key in SHARED if key in row)])


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _value(value: Any) -> Value:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _most_common(points: Iterable[Point]) -> Setting:
    return Counter(point.setting for point in points).most_common(1)[0][0]


def _without(setting: Setting, knob: str) -> Setting:
    return tuple((key, value) for key, value in setting if key != knob)


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
    models: dict[tuple[str, int], set[str]] = defaultdict(set)
    for point in points:
        models[point.schedule, point.repeat[0]].add(point.repeat[1])
    if points[0].training or all(len(several) == 1 for several in models.values()):
        return [points]
    ordered = sorted(points, key=lambda point: point.repeat[1])
    return [list(group) for _, group in groupby(ordered, key=lambda point: point.repeat[1])]


def _study(points: Sequence[Point], settings_of: Mapping[str, Mapping[str, Any]]) -> Study:
    """Rows of the same point, which several evaluations with other metrics left, become one."""
    merged: dict[Any, Point] = {}
    for point in points:
        place = (point.schedule, point.decode_schedule, point.steps, point.setting, point.repeat)
        before = merged.get(place)
        row, sources = ({**before.row, **point.row}, before.sources) if before else (point.row, ())
        merged[place] = Point(row, point.training, (*sources, *point.sources))
    settings = {key: points[0].row[key] for key in SHARED if key in points[0].row}
    cas = {point.row["cas_classifier"] for point in points if "cas_classifier" in point.row}
    settings |= {"cas_classifier": next(iter(cas))} if cas else {}
    return Study(settings, settings_of.get(points[0].training, {}), list(merged.values()))
