"""The report's tables, before it is known whether they become HTML, Markdown or lines of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskgit_lab.ablation.curves import Curve, at_steps, by_model, metrics_of, spread
from maskgit_lab.ablation.floors import CAS_KEY, REAL_CLASSIFIER, Floor, floors, real_cas
from maskgit_lab.ablation.published import in_order, table3
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics import registry
from maskgit_lab.report.words import (
    EDGE,
    NONE,
    format_best,
    format_knob,
    format_mean,
    format_seeds,
    format_value,
    label,
)
from maskgit_lab.runs.costs import Cost, together
from maskgit_lab.runs.results import VERSION, Row

IS, NLL, BOUND = (registry.TABLE[key] for key in ("inception_score", registry.NLL, registry.BOUND))
PAPERS_KEYS = {"best_steps": "best_steps", "distance": "fid", IS.key: IS.key, NLL.key: NLL.key}  # in Table 3
OURS_KEYS = (*PAPERS_KEYS, BOUND.key)
BEST = {"distance": min, IS.key: max, NLL.key: min, BOUND.key: min}
AT_EDGE = "best_steps_at_edge"  # whether the best T is the first or the last that was compared


@dataclass(frozen=True)
class Table:
    """Cells of text."""

    head: Sequence[str]  # of the columns
    rows: Sequence[Sequence[str]]  # of as many cells each
    # Rows and columns of cells that stand out, such as the best of a column
    bold: frozenset[tuple[int, int]] = frozenset()
    # Titles over the columns, and how many columns each covers; none, or all columns together
    groups: Sequence[tuple[str, int]] = ()
    n_texts: int = 1  # columns at the start that hold words; the others hold numbers

    @property
    def flat_head(self) -> list[str]:
        """The head for where there is one line only: columns of the paper name it."""
        titles = [title for title, n in self.groups for _ in range(n)] or [""] * len(self.head)
        return [f"paper: {h}" if t.startswith("the paper") else h for t, h in zip(titles, self.head, strict=True)]


def compared(study: Study) -> list[dict[str, Any]]:
    """A row for each schedule, in the paper's order: our numbers, and the paper's in Table 3.

    The distance and IS are read at the best T by the distance, and the NLLs do not depend on T; all are means over
    the models of the seeds that all schedules share, with the standard deviation where there are several. What is not
    known is None.
    """
    found = comparison(study).by_schedule
    rows = []
    for name in in_order([*table3(), *found]):
        paper = table3().get(name)
        papers = {f"paper_{ours}": getattr(paper, key, None) for ours, key in PAPERS_KEYS.items()}
        shape = paper.shape if paper else "not in the paper"
        rows.append({"schedule": name, "shape": shape, **_ours(study, name, found.get(name)), **papers})
    return rows


def papers_form(study: Study) -> Table:
    """The compared numbers in the form of Table 3, with the bound where it was measured, the best of each column bold,
    and below them what held-out images and their reconstructions reach.
    """
    rows = compared(study)
    own = [key for key in OURS_KEYS if key != BOUND.key or any(row[key] is not None for row in rows)]
    cells = [[label(row["schedule"]), row["shape"], *(_mean(row, key) for key in own), *_papers(row)] for row in rows]
    bold = set()
    for column, key in enumerate([*own, *(f"paper_{key}" for key in PAPERS_KEYS)], start=2):
        values = [row[key] for row in rows if row[key] is not None]
        choose = BEST.get(key.removeprefix("paper_"))
        if choose and len(values) > 1:
            bold |= {(i, column) for i, row in enumerate(rows) if row[key] == choose(values)}
    n_unknown = len(own) - 3  # likelihoods, which images alone do not have
    cells += [
        [floor.name, f"n = {floor.n:,}", NONE, *_floor_cells(study, floor), *[NONE] * (n_unknown + 4)]
        for floor in floors(study)
    ]
    groups = (("", 2), (f"here: {study.data}, {study.features} features", len(own)), ("the paper: ImageNet 256", 4))
    labels = ("best T", study.distance.label, IS.label, NLL.label, BOUND.label)
    ours, papers = labels[: len(own)], ("best T", "FID", IS.label, NLL.label)
    return Table(["schedule", "shape", *ours, *papers], cells, frozenset(bold), groups, n_texts=2)


def sweet_spots(study: Study) -> Table:
    """The best T of each schedule by each metric that is measured, with the metric's mean there, and what real images
    and their reconstructions reach.
    """
    metrics = [metric for metric in metrics_of(study) if metric.better]
    found = {(one.schedule, metric.key): one for metric in metrics for one in comparison(study, metric).compared}
    names = in_order(name for name, _ in found)
    rows = [[label(name), *(_spot(found.get((name, metric.key))) for metric in metrics)] for name in names]
    rows += [[_named(study, one), *(_cell(one.value(metric.key)) for metric in metrics)] for one in floors(study)]
    if (real := real_cas(study.main)) is not None:
        rows.append([REAL_CLASSIFIER, *(_cell(real if metric.key == CAS_KEY else None) for metric in metrics)])
    return Table(["schedule", *(metric.label for metric in metrics)], rows)


def settings_table(study: Study) -> Table:
    """What the points of a study agree in, the decoder's settings of its curves, and the versions of the packages."""
    main = {f"{key} (curves)": format_knob(value) for key, value in study.main_setting}
    counts = {
        "seeds": format_seeds(study.seeds).partition(" ")[2],
        "runs": len(study.runs),
        "models": len({point.model for point in study.points}),
        "points": len(study.points),
    }
    versions = sorted({key for point in study.points for key in point.row if key.startswith(VERSION)})
    values = [{str(point.row[key]) for point in study.points if key in point.row} for key in versions]
    known = {key: ", ".join(sorted(several)) for key, several in zip(versions, values, strict=True)}
    return pairs_table({**study.settings, **main, **counts, **known})


def pairs_table(settings: Mapping[str, Any]) -> Table:
    """Settings and their values."""
    return Table(["setting", "value"], [[key, str(value)] for key, value in settings.items()], n_texts=2)


def external_table(rows: Iterable[tuple[str, Row]]) -> Table:
    """Images that none of our models generated: what they are called, and every metric."""
    found = list(rows)
    metrics = [metric.key for metric in registry.of_rows(row for _, row in found)]
    measured = [
        key
        for name in metrics
        for key in (name, *(name + end for end in registry.UNCERTAIN))
        if any(key in row for _, row in found)
    ]
    words = ["samples", "features", "reference"]
    keys = [*words, "n_samples", *measured]
    cells = [[name, *(_cell(row.get(key)) for key in keys)] for name, row in found]
    return Table(["where", *keys], cells, n_texts=1 + len(words))


def cost_table(stages: Mapping[str, Cost]) -> Table:
    """What each stage of the runs has cost, and all of them together; without what no run has, such as GPUs."""
    rows = {**stages, "together": together(stages)}
    units = {"core-hours": "core_hours", "GPU-hours": "gpu_hours", "GPU energy, kWh": "kwh", "images": "images"}
    there = {unit: key for unit, key in units.items() if getattr(rows["together"], key)}
    cells = [[name, *(_cell(getattr(cost, key)) for key in there.values())] for name, cost in rows.items()]
    return Table(["stage", *there], cells if stages else [])


def _ours(study: Study, schedule: str, of: Curve | None) -> dict[str, float | bool | None]:
    seeds = of.seeds if of is not None else ()
    mine = [point for point in study.main if point.schedule == schedule and point.seeds in seeds]
    best = of.best_steps if of is not None else None
    values = {
        "distance": at_steps(mine, schedule, best, study.distance.key),
        IS.key: at_steps(mine, schedule, best, IS.key),
        NLL.key: by_model(mine, NLL.key),  # the same at every T
        BOUND.key: by_model(mine, BOUND.key),
    }
    ours: dict[str, float | bool | None] = {"best_steps": best, AT_EDGE: None if of is None else of.is_at_edge}
    for key, several in values.items():
        ours[key], ours[f"{key}_std"] = spread(several)
    return ours


def floor_numbers(study: Study) -> list[dict[str, Any]]:
    """A row for held-out images and for reconstructions, with the keys of `compared` that they have."""
    keys = {"distance": study.distance.key, IS.key: IS.key}
    return [
        {"source": one.source, "n_samples": one.n, **{name: one.value(key) for name, key in keys.items()}}
        for one in floors(study)
    ]


def _floor_cells(study: Study, floor: Floor) -> list[str]:
    return [_cell(floor.value(study.distance.key)), _cell(floor.value(IS.key))]


def _named(study: Study, floor: Floor) -> str:
    return floor.name if floor.n == study.n_samples else f"{floor.name} (n = {floor.n:,})"


def _mean(row: Mapping[str, Any], key: str) -> str:
    """A number of a schedule, with its deviation where there is one."""
    mean, deviation = row[key], row.get(f"{key}_std")
    if mean is None or isinstance(mean, int):
        return NONE if mean is None else f"{mean}{EDGE if row[AT_EDGE] else ''}"
    return format_mean(mean, deviation)


def _papers(row: Mapping[str, Any]) -> list[str]:
    """The paper's numbers as they are printed."""
    return [_cell(row[f"paper_{key}"], digits) for key, digits in zip(PAPERS_KEYS, (0, 2, 1, 2), strict=True)]


def _spot(of: Curve | None) -> str:
    return NONE if of is None else f"{format_best(of)} ({format_value(of.best_value)})"


def _cell(value: Any, digits: int | None = None) -> str:
    if value is None:
        return NONE
    if not isinstance(value, float):
        return str(value)
    return format_value(value) if digits is None else f"{value:.{digits}f}"
