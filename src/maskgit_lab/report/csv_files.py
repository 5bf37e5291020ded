"""The report's numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.curves import curves, metrics_of
from maskgit_lab.ablation.edits import EditStudy
from maskgit_lab.ablation.floors import floors
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.editing import EditChapter
from maskgit_lab.report.editing_tables import edit_numbers
from maskgit_lab.report.table1 import ModelsChapter
from maskgit_lab.report.tables import floor_numbers
from maskgit_lab.report.temperature import readings, spots_table


def points_csv(
    every: Sequence[Study],
    runs: Sequence[Run],
    names: Mapping[Path, str],
    baselines: Sequence[Baseline] = (),
    edits: Sequence[EditStudy] = (),
) -> str:
    """Every row as it was measured, with its run and the number and title of its study; 0: autoregressive models,
    external images and edits, of none.
    """
    rows = [
        (i, study.title, run, row) for i, study in enumerate(every, 1) for p in study.points for run, row in p.sources
    ]
    rows += [
        (i, study.title, run, row)
        for i, study in enumerate(every, 1)
        for floor in floors(study)
        for run in study.runs
        for row in run.rows
        if (row.get("source"), row["n_samples"]) == (floor.source, floor.n)
    ]
    rows += [(0, one.title, run, row) for one in baselines for point in one.points for run, row in point.sources]
    rows += [(0, "external images", run, row) for run in runs for row in run.external]
    rows += [(0, study.title, run, row) for study in edits for run, row in study.sources]
    return _csv({"study": i, "title": title, "run": names[run.path], **row} for i, title, run, row in rows)


def curves_csv(every: Sequence[Study], edits: Sequence[EditStudy] = ()) -> str:
    """Each curve as it is drawn: mean, smallest, largest and number of seeds by study, metric, schedule and T; those of
    edits, without what was filled in random order, are last and of study 0.
    """
    names = ("study", "title", "metric", "schedule", "steps", "mean", "min", "max", "seeds")
    return _csv(
        dict(
            zip(names, (i, study.title, metric.key, one.schedule, steps, *map(float, values), int(seeds)), strict=True)
        )
        for i, study in (*enumerate(every, 1), *((0, one) for one in edits))
        for metric in metrics_of(study)
        for one in curves(study.main, metric)
        for steps, *values, seeds in zip(one.x, one.mean_X, one.low_X, one.high_X, one.counts_X, strict=True)
    )


def table_csv(every: Sequence[Study]) -> str:
    """The tables in the form of Table 3, one after the other, as plain numbers, in both readings of the temperature;
    held-out images have no schedule.
    """
    return _csv(
        {"study": i, "title": study.title, **row}
        for i, study in enumerate(every, 1)
        for row in (*readings(study), *floor_numbers(study))
    )


def table1_csv(chapters: Sequence[ModelsChapter]) -> str:
    """The tables in the form of Table 1, one after the other, as plain numbers; CAS is a fraction."""
    return _csv(
        {"table": chapter.number, "title": chapter.title, **row} for chapter in chapters for row in chapter.numbers
    )


def table2_csv(chapters: Sequence[EditChapter]) -> str:
    """The tables of edits, one after the other, as plain numbers, each with the paper's rows where Table 2 has any."""
    return _csv(
        {"table": number, "title": chapter.study.title, **row}
        for number, chapter in enumerate(chapters, 1)
        for row in edit_numbers(chapter.study, chapter.entries)
    )


def temperature_csv(every: Sequence[Study]) -> str:
    """The best T of each schedule at each choice temperature."""
    return _csv(
        {"study": i, "title": study.title, **row} for i, study in enumerate(every, 1) for row in spots_table(study)
    )


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """As RFC 4180 has it, with lines that end as on Unix; the columns are all keys, in the order of the rows."""
    every, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in every for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(every)
    return text.getvalue()
