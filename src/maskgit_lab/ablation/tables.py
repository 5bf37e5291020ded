"""The report's tables, before it is known whether they become HTML, Markdown or CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maskgit_lab.ablation.curves import NLL, Curve, at_steps, curves, distance_of, metrics_of, spread
from maskgit_lab.ablation.panels import format_value
from maskgit_lab.ablation.published import PublishedRow, table3
from maskgit_lab.ablation.results import Row
from maskgit_lab.ablation.runs import Run
from maskgit_lab.ablation.studies import Study
from maskgit_lab.ablation.styles import in_order, spoken

NONE = "–"  # noqa: RUF001 a dash, for a cell without a value
IS = "inception_score"
MOST_DECIMALS = 4
DISTANCES_FIRST = ("fid", "fd_", "sfid", "sfd_", "kid", "kd_")


@dataclass(frozen=True)
class Table:
    """Cells of text.

    Args:
        head: of the columns.
        rows: of as many cells each.
        bold: rows and columns of cells that stand out, such as the best of a column.
        groups: titles over the columns, and how many columns each covers; none, or all columns together.
        n_texts: columns at the start that hold words; the others hold numbers.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold: frozenset[tuple[int, int]] = frozenset()
    groups: Sequence[tuple[str, int]] = field(default_factory=tuple)
    n_texts: int = 1

    @property
    def flat_head(self) -> list[str]:
        """The head with the titles over the columns in it, for where there is one line only."""
        titles = [name.partition(":")[0] for name, n in self.groups for _ in range(n)] or [""] * len(self.head)
        return [f"paper: {h}" if t == "the paper" else h for t, h in zip(titles, self.head, strict=True)]


def papers_form(study: Study) -> Table:
    """Table 3: schedule, shape, best T, FID or FD, IS and NLL; ours beside the paper's.

    Ours are means over seeds, with the standard deviation where there are several; IS is read at the best T, and the
    NLL does not depend on T.
    """
    lines = _compared(study)
    rows = [
        [spoken(name), _shape(name), _whole(ours[0][0]), *(_said(*cell) for cell in ours[1:]), *_papers(row)]
        for name, ours, row in lines
    ]
    columns = [[ours[i][0] for _, ours, _ in lines] for i in range(4)] + _papers_columns([row for *_, row in lines])
    wanted = (None, min, max, min, None, min, max, min)
    bold = {(row, column + 2) for column, (v, w) in enumerate(zip(columns, wanted, strict=True)) for row in _best(v, w)}
    head = ["schedule", "shape", *("best T", study.distance_label, "IS", "NLL"), *("best T", "FID", "IS", "NLL")]
    groups = (("", 2), (f"here: {study.data}, {study.features} features", 4), ("the paper: ImageNet 256", 4))
    return Table(head, rows, frozenset(bold), groups, n_texts=2)


def sweet_spots(study: Study) -> Table:
    """The best T of each schedule by each metric that is measured."""
    metrics = metrics_of(study)
    found = {(c.schedule, m.key): c for m in metrics for c in curves(study.main, m)}
    names = in_order(name for name, _ in found)
    rows = [[spoken(name), *(_spot(found.get((name, metric.key))) for metric in metrics)] for name in names]
    return Table(["schedule", *(metric.label for metric in metrics)], rows)


def settings_table(study: Study) -> Table:
    """All that the points of a study agree in, and the versions that measured them."""
    versions = _versions([point.row for point in study.points])
    temperature, guidance = study.main_setting
    main = {"choice_temperature (curves)": f"{temperature:g}", "guidance (curves)": f"{guidance:g}"}
    seeds = ", ".join(map(str, study.seeds))
    counts = {"runs": len(study.runs), "models": len({p.repeat[0] for p in study.points}), "points": len(study.points)}
    told = {**study.settings, **main, "seeds": seeds, **counts, **versions}
    return pairs_table(told)


def training_table(study: Study) -> Table:
    """How its models were trained, schedule and seed apart."""
    return pairs_table(study.training)


def pairs_table(settings: Mapping[str, Any]) -> Table:
    """Settings and their values."""
    return Table(["setting", "value"], [[key, str(value)] for key, value in settings.items()], n_texts=2)


def loose_table(rows: Iterable[tuple[str, Row]]) -> Table:
    """Images that no model at hand made: what they are called, and every number."""
    found = list(rows)
    keys = ["samples", "features", "n_samples", "reference", *_numbers(row for _, row in found)]
    cells = [[name, *(_cell(row.get(key)) for key in keys)] for name, row in found]
    return Table(["where", *keys], cells)


def points_csv(every: Sequence[Study], loose: Sequence[tuple[Run, Row]], names: Mapping[Any, str]) -> str:
    """Every row of every study as it was measured, with the number of its study (0: of none) and its run."""
    rows = [(i, run, row) for i, study in enumerate(every, 1) for p in study.points for run, row in p.sources]
    rows += [(0, run, row) for run, row in loose]
    keys = list(dict.fromkeys(key for _, _, row in rows for key in row))
    cells = [[str(i), names[run.path], *(str(row.get(key, "")) for key in keys)] for i, run, row in rows]
    return to_csv(["study", "run", *keys], cells)


def curves_csv(every: Sequence[Study]) -> str:
    """Each curve as it is drawn: mean, smallest, largest and number of seeds by study, metric, schedule and T."""
    cells = [
        [str(i), metric.key, c.schedule, str(t), *(repr(float(v)) for v in line), str(int(count))]
        for i, study in enumerate(every, 1)
        for metric in metrics_of(study)
        for c in curves(study.main, metric)
        for t, *line, count in zip(c.steps, c.mean_T, c.low_T, c.high_T, c.counts_T, strict=True)
    ]
    return to_csv(["study", "metric", "schedule", "steps", "mean", "min", "max", "seeds"], cells)


def table_csv(every: Sequence[Study]) -> str:
    """The tables in the form of Table 3, one after the other, as plain numbers."""
    keys = ("best_steps", "distance", IS, NLL)
    ours = [key + end for key in keys for end in (("", "_std") if key != "best_steps" else ("",))]
    rows = [
        [str(i), name, _shape(name), *map(_raw, (cells[0][0], *(v for cell in cells[1:] for v in cell))), *_papers(row)]
        for i, study in enumerate(every, 1)
        for name, cells, row in _compared(study)
    ]
    return to_csv(["study", "schedule", "shape", *ours, *(f"paper_{key}" for key in keys)], rows)


def to_csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """As RFC 4180 has it, with lines that end as on Unix."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


Cell = tuple[float | None, float | None]


def _compared(study: Study) -> list[tuple[str, list[Cell], PublishedRow | None]]:
    """Each schedule, in the paper's order, with our numbers and its row in Table 3."""
    by_name = {curve.schedule: curve for curve in curves(study.main, distance_of(study))}
    return [(name, _ours(study, by_name.get(name)), table3().get(name)) for name in in_order([*table3(), *by_name])]


def _whole(value: float | None) -> str:
    return NONE if value is None else f"{value:.0f}"


def _raw(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if value.is_integer() else repr(value)


def _ours(study: Study, curve: Curve | None) -> list[Cell]:
    """Best T, distance, IS and NLL: mean and standard deviation."""
    if curve is None:
        return [(None, None)] * 4
    values = [at_steps(study.main, curve.schedule, curve.best_steps, key) for key in (study.distance, IS)]
    mine = [p for p in study.main if p.row["schedule"] == curve.schedule and p.value(NLL) is not None]
    values.append(list({p.repeat: p.value(NLL) or 0.0 for p in mine}.values()))  # the same at every T
    return [(float(curve.best_steps), None), *(spread(several) if several else (None, None) for several in values)]


def _said(mean: float | None, deviation: float | None) -> str:
    """As many decimals as the deviation gives reason for."""
    if mean is None:
        return NONE
    if deviation is None or deviation == 0:
        return format_value(mean)
    first = math.floor(math.log10(deviation))
    decimals = min(max(-first + (deviation < 3 * 10.0**first), 0), MOST_DECIMALS)
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f}"


def _papers(row: PublishedRow | None) -> list[str]:
    if row is None:
        return [NONE] * 4
    return [str(row.best_steps), f"{row.fid:.2f}", f"{row.inception_score:.1f}", f"{row.nll:.2f}"]


def _papers_columns(rows: Sequence[PublishedRow | None]) -> list[list[float | None]]:
    keys = ("best_steps", "fid", IS, NLL)
    return [[None if row is None else float(getattr(row, key)) for row in rows] for key in keys]


def _best(values: Sequence[float | None], choose: Any) -> list[int]:
    known = [value for value in values if value is not None]
    if choose is None or len(known) < 2:
        return []
    return [i for i, value in enumerate(values) if value == choose(known)]


def _shape(name: str) -> str:
    return table3()[name].shape if name in table3() else "not in the paper"


def _spot(curve: Curve | None) -> str:
    if curve is None:
        return NONE
    edge = "†" if curve.is_at_edge else ""
    return f"{curve.best_steps}{edge} ({format_value(float(curve.mean_T[curve.best]))})"


def _versions(rows: Sequence[Row]) -> dict[str, str]:
    keys = sorted({key for row in rows for key in row if key.startswith("version_")})
    return {key: ", ".join(sorted({str(row[key]) for row in rows if key in row})) for key in keys}


def _numbers(rows: Iterable[Row]) -> list[str]:
    keys = dict.fromkeys(key for row in rows for key, value in row.items() if isinstance(value, float))
    return sorted(keys, key=lambda key: not key.startswith(DISTANCES_FIRST))


def _cell(value: Any) -> str:
    if value is None:
        return NONE
    return format_value(value) if isinstance(value, float) else str(value)
