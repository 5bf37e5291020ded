"""The numbers of a table in the form of the paper's Table 1: a row a model, all measured alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from maskgit_lab.ablation.baseline import AUTOREGRESSIVE, Baseline
from maskgit_lab.ablation.baselines import MEASURED_ALIKE
from maskgit_lab.ablation.curves import by_model
from maskgit_lab.ablation.floors import REAL_CLASSIFIER, Floor, floors, real_cas
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.points import Point, canonical
from maskgit_lab.ablation.published import in_order
from maskgit_lab.ablation.resampling import Levels
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import BOUND, EXACT, TABLE, Metric
from maskgit_lab.runs.results import TIMED_ON

MASKGIT, REAL = "maskgit", "real"  # kinds of entries, beside AUTOREGRESSIVE and the sources of floors
DISTANCE, SECONDS, NLL = "distance", "decode_seconds_per_image", "nll"
QUALITY = ("inception_score", "precision", "recall", "cas_top1", "cas_top5")  # after the distance, as in the paper
PARTS = ("transformer", "tokenizer")  # of which a model is made, each with its parameters
REAL_CAS = {"cas_real": REAL_CLASSIFIER, "cas_real_all": "classifier on all real images"}


@dataclass(frozen=True)
class Entry:
    """A row: what a model reaches, or what real images do."""

    kind: str  # MASKGIT, AUTOREGRESSIVE, REAL, or the source of a floor
    name: str  # the schedule, the baseline, or what the images are
    values: Mapping[str, Sequence[float]]  # by column: one a model, its mean over draws of samples
    apart: str = ""  # what sets its models apart from others of this name
    steps: int | None = None  # T, or the number of tokens
    is_at_edge: bool = False  # whether T is the first or the last that was compared
    sizes: Mapping[str, int] | None = None  # parameters of the transformer and the tokenizer; None: not recorded
    timed_on: str = ""  # where the seconds are from
    levels: Levels | None = None  # what a spread holds; None: there are no models


@dataclass(frozen=True)
class TableOne:
    """Entries that may be compared with each other."""

    heading: str  # how they were measured
    data: str
    distance: Metric
    studies: Sequence[Study]
    baselines: Sequence[Baseline]
    entries: Sequence[Entry]

    @property
    def n_tokens(self) -> int | None:
        """Of an image, where a run has recorded it."""
        return _tokens(point for group in (*self.studies, *self.baselines) for point in group.points)

    @property
    def metrics(self) -> list[Metric]:
        """The distance and the other measures of quality."""
        return [self.distance, *(TABLE[key] for key in QUALITY)]


def tables(every: Sequence[Study], known: Sequence[Baseline]) -> list[TableOne]:
    """One table for each way of measuring, in the order of the studies; tries are last."""
    groups: dict[str, list[Group]] = defaultdict(list)
    for one in (*every, *known):
        groups[canonical([one.debug, *(one.settings.get(key) for key in MEASURED_ALIKE)])].append(one)
    made = [_table(alike) for alike in groups.values()]
    return sorted(made, key=lambda table: bool((*table.studies, *table.baselines)[0].debug))


def _table(alike: Sequence[Group]) -> TableOne:
    first = alike[0]
    studies = [one for one in alike if isinstance(one, Study)]
    baselines = [one for one in alike if isinstance(one, Baseline)]
    entries = [
        *chain.from_iterable(_of_study(study) for study in studies),
        *(_of_baseline(one) for one in baselines),
        *_of_floors(alike),
        *_of_real(alike),
    ]
    return TableOne(first.measured, first.data, first.distance, studies, baselines, entries)


def _of_study(study: Study) -> list[Entry]:
    """Each schedule at its best T by the distance, on the seeds that the schedules share, as in the form of Table 3."""
    found = comparison(study).by_schedule
    entries = []
    for name in in_order(point.schedule for point in study.main):
        points = [point for point in study.main if point.schedule == name]
        best, is_at_edge = None, False
        if (of := found.get(name)) is not None:
            points = [point for point in points if point.seeds in of.seeds]
            best, is_at_edge = of.best_steps, of.is_at_edge
        elif len(steps := {point.steps for point in points}) == 1:
            best = steps.pop()
        at_best = [point for point in points if point.steps == best]
        values = _values(at_best, study) | _named(NLL, by_model(points, BOUND))
        entries.append(_entry(MASKGIT, name, study, at_best or points, values, best, is_at_edge))
    return entries


def _of_baseline(baseline: Baseline) -> Entry:
    values = _values(baseline.points, baseline) | _named(NLL, by_model(baseline.points, EXACT))
    steps = _tokens(baseline.points)
    return _entry(AUTOREGRESSIVE, baseline.plain_name, baseline, baseline.points, values, steps)


def _entry(
    kind: str,
    name: str,
    group: Group,
    points: Sequence[Point],
    values: Mapping[str, Sequence[float]],
    steps: int | None,
    is_at_edge: bool = False,
) -> Entry:
    apart = ", ".join([*([group.code.label] if group.code.label else []), *group.apart])
    timed_on = _timed_on(points)
    seconds = by_model([point for point in points if point.row.get(TIMED_ON, "") == timed_on], SECONDS)
    whole = {**values, **_named(SECONDS, seconds)}
    return Entry(kind, name, whole, apart, steps, is_at_edge, _sizes(points), timed_on, _levels(points))


def _values(points: Sequence[Point], group: Group) -> dict[str, Sequence[float]]:
    keys = {DISTANCE: group.distance.key, **{key: key for key in QUALITY}}
    return {name: several for name, key in keys.items() if (several := by_model(points, key))}


def _named(name: str, several: Sequence[float]) -> dict[str, Sequence[float]]:
    return {name: several} if several else {}


def _timed_on(points: Iterable[Point]) -> str:
    """Where most of the points were timed; times of different hardware have no mean."""
    found = Counter(str(point.row.get(TIMED_ON, "")) for point in points if point.value(SECONDS) is not None)
    return found.most_common(1)[0][0] if found else ""


def _sizes(points: Iterable[Point]) -> dict[str, int] | None:
    """The parameters of the models, if they all have as many."""
    known = [point.sizes for point in points if point.sizes.keys() >= {*PARTS}]
    found = [{part: sizes[part] for part in PARTS} for sizes in known]
    return found[0] if found and all(sizes == found[0] for sizes in found) else None


def _tokens(points: Iterable[Point]) -> int | None:
    """Of an image."""
    return next((n for point in points if (n := point.sizes.get("tokens"))), None)


def _levels(points: Sequence[Point]) -> Levels:
    draws = {seeds: {point.draw for point in points if point.seeds == seeds} for seeds in {p.seeds for p in points}}
    counts = [len(several) for several in draws.values()]
    return Levels(tuple(sorted(draws)), (min(counts), max(counts)))


def _of_floors(alike: Iterable[Group]) -> list[Entry]:
    """Held-out images, and the reconstructions of each tokenizer; each once."""
    found: dict[str, Entry] = {}
    for group in alike:
        for floor in floors(group):
            entry = Entry(floor.source, _floor_name(floor, group), _floor_values(floor, group))
            found.setdefault(canonical([entry.name, entry.values]), entry)
    return sorted(found.values(), key=lambda entry: entry.kind)


def _floor_name(floor: Floor, group: Group) -> str:
    return floor.name if floor.n == group.n_samples else f"{floor.name} (n = {floor.n:,})"


def _floor_values(floor: Floor, group: Group) -> dict[str, Sequence[float]]:
    keys = {DISTANCE: group.distance.key, **{key: key for key in QUALITY}}
    return {name: [value] for name, key in keys.items() if (value := floor.value(key)) is not None}


def _of_real(alike: Iterable[Group]) -> list[Entry]:
    """A classifier of as many real images as samples, and one of all of them."""
    points = [point for group in alike for point in group.points]
    entries = []
    for start, name in REAL_CAS.items():
        found = {f"cas_{end}": real_cas(points, f"{start}_{end}") for end in ("top1", "top5")}
        if values := {key: [value] for key, value in found.items() if value is not None}:
            entries.append(Entry(REAL, name, values))
    return entries
