"""The tables of edits: what was measured, beside the paper's Table 2, and the order of the schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from maskgit_lab.ablation.curves import Curve, spread
from maskgit_lab.ablation.editing import ONE_STEP, RANDOM_ORDER, SCHEDULE, EditEntry, metrics_of_edits, plain_curves
from maskgit_lab.ablation.edits import EditStudy
from maskgit_lab.ablation.published import PublishedEdit, in_order, table2, table3
from maskgit_lab.ablation.sharing import compare, comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import TABLE, Metric
from maskgit_lab.report.editing_notes import floor_name
from maskgit_lab.report.table1_notes import PAPER
from maskgit_lab.report.tables import Table
from maskgit_lab.report.words import EDGE, NONE, format_best, format_mean, format_value, label

HERE = "here"


def edits_table(study: EditStudy, known: Sequence[EditEntry]) -> Table:
    """Every row that was measured, and the paper's."""
    metrics = metrics_of_edits(study)
    papers = _papers(study)
    is_fid = study.distance.key == TABLE["fid"].key
    distance = study.distance.label if is_fid or not papers else f"{study.distance.label} (paper: FID)"
    head = ["", "from", "T", distance, *map(_heading, metrics[1:]), "seeds"]
    cells = [_cells(entry, study) for entry in known]
    for row in papers:
        values = {study.distance.key: f"{row.fid:.2f}", "inception_score": f"{row.inception_score:.2f}"}
        cells.append([row.model, PAPER, NONE, *(values.get(metric.key, NONE) for metric in metrics), NONE])
    return Table(head, cells, _bold(study, known), n_texts=2)


def order_table(study: EditStudy, plain: Study | None) -> Table:
    """A row for each schedule: its best T and the distance there by edits, by plain samples, and in the paper."""
    ours = comparison(study).by_schedule
    if len(ours) < 2:
        return Table(["schedule"], [])
    theirs = {} if plain is None else compare(plain_curves(study, plain)).by_schedule
    columns = {"edits": ours} | ({"samples": theirs} if theirs else {})
    head = [f"{what}, {name}" for name in columns for what in ("T", study.distance.label)]
    cells = []
    for name in in_order(ours):
        here = [text for of in columns.values() for text in _best_and_value(of.get(name))]
        papers = table3().get(name)
        there = [NONE, NONE] if papers is None else [str(papers.best_steps), f"{papers.fid:.2f}"]
        cells.append([label(name), *here, *there])
    return Table(["schedule", *head, "T, paper", "FID, paper"], cells)


def edit_numbers(study: EditStudy, known: Sequence[EditEntry]) -> Iterator[Mapping[str, Any]]:
    """The table as plain numbers, the paper's rows last."""
    metrics = metrics_of_edits(study)
    about = {"task": study.task, "hole": study.hole}
    for entry in known:
        row: dict[str, Any] = {**about, "row": _name(entry, study), "from": HERE, "kind": entry.kind}
        row |= {"steps": entry.steps, "metric": study.distance.key, "models": len(entry.seeds)}
        for metric in metrics:
            key = "distance" if metric == study.distance else metric.key
            row[key], row[f"{key}_std"] = spread(entry.values.get(metric.key, ()))
        yield row
    for paper in _papers(study):
        values = {"distance": paper.fid, "inception_score": paper.inception_score}
        yield {**about, "row": paper.model, "from": PAPER, "metric": "fid", **values}


def _best_and_value(one: Curve | None) -> tuple[str, str]:
    """The best T of a curve, and its mean there."""
    return (NONE, NONE) if one is None else (format_best(one), format_value(one.best_value))


def _cells(entry: EditEntry, study: EditStudy) -> list[str]:
    steps = NONE if entry.steps is None else f"{entry.steps}{EDGE * entry.is_at_edge}"
    numbers = [_mean(entry.values.get(metric.key, ()), metric) for metric in metrics_of_edits(study)]
    return [_name(entry, study), HERE, steps, *numbers, str(len(entry.seeds)) if entry.seeds else NONE]


def _name(entry: EditEntry, study: EditStudy) -> str:
    if entry.kind == ONE_STEP and study.trained:
        return ONE_STEP
    if entry.kind in (RANDOM_ORDER, ONE_STEP):
        return f"{label(entry.name)}, {entry.kind}"
    return label(entry.name) if entry.kind == SCHEDULE else floor_name(entry, study)


def _heading(metric: Metric) -> str:
    return f"{metric.label} x 1,000" if _is_small(metric) else metric.label


def _is_small(metric: Metric) -> bool:
    """Whether its values are too small to be written as they are: KID and KD."""
    return metric.key.startswith(("kid", "kd_"))


def _mean(values: Sequence[float], metric: Metric) -> str:
    mean, deviation = spread([1000 * value for value in values] if _is_small(metric) else values)
    return NONE if mean is None else format_mean(mean, deviation)


def _bold(study: EditStudy, known: Sequence[EditEntry]) -> frozenset[tuple[int, int]]:
    """The best of ours in each column; floors are no models."""
    bold = set()
    for column, metric in enumerate(metrics_of_edits(study), 3):
        means = {i: spread(entry.values.get(metric.key, ()))[0] for i, entry in enumerate(known) if entry.seeds}
        there = {i: mean for i, mean in means.items() if mean is not None}
        if metric.better and len(set(there.values())) > 1:
            best = (min if metric.better == "min" else max)(there.values())
            bold |= {(i, column) for i, mean in there.items() if mean == best}
    return frozenset(bold)


def _papers(study: EditStudy) -> list[PublishedEdit]:
    """The rows of the paper's Table 2 of the same task and hole, its own model first."""
    found = [row for row in table2() if (row.task, row.hole) == (study.task, study.hole)]
    return sorted(found, key=lambda row: not row.is_own)
