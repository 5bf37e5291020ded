"""Edits: the rows that lie in a folder of their own in each run, and the studies that they make.

A study is of one task and one hole, edited with the same options and measured alike; its curves are schedules over T.
What was filled in random order stands beside the curves and is no part of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from maskgit_lab.ablation.code import Code
from maskgit_lab.ablation.floors import fits
from maskgit_lab.ablation.grouping import families, shared
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.points import DECODE_SCHEDULE, Point
from maskgit_lab.ablation.published import table2
from maskgit_lab.ablation.reading import Run, is_run, read_run, short_names
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.temperature import TEMPERATURE
from maskgit_lab.ablation.titles import titled
from maskgit_lab.runs.finding import run_folders
from maskgit_lab.runs.names import EDITING
from maskgit_lab.runs.results import HOLE, RESULTS, TASK, Row, is_floor

# From this choice temperature on, the noise alone decides which tokens are kept: conf/decode/random_order.yaml.
RANDOM_ORDER = 1e6


@dataclass(frozen=True)
class EditStudy(Study):
    """Points of edits of one task and hole, over schedules and T."""

    in_random_order: Sequence[Point] = ()  # the same, but that the order in which the hole is filled is random
    trained: str = ""  # the one schedule of all trainings, where its models were decoded with others; "": several

    @property
    def task(self) -> str:
        return str(self.settings[TASK])

    @property
    def hole(self) -> str:
        return str(self.settings.get(HOLE, "hole not known"))

    @property
    def measured(self) -> str:
        """What was edited and measured, and how, in short."""
        models = [f"{self.trained} models decoded with other schedules"] if self.trained else []
        reference = self.settings.get("reference", "none")
        measured = [f"{self.features} features", f"{self.n_samples:,} edits", f"reference {reference}"]
        text = ", ".join([f"{self.task} {self.hole}", self.data, *models, *measured])
        return f"Debug runs ({self.debug}): {text}" if self.debug else text

    @property
    def sources(self) -> list[tuple[Run, Row]]:
        """The runs and their rows that it is made of: of edits, and then of floors."""
        edits = [source for point in (*self.points, *self.in_random_order) for source in point.sources]
        return [*edits, *((run, row) for run in self.runs for row in run.rows if is_floor(row) and fits(row, self))]

    @cached_property
    def in_the_paper(self) -> bool:
        """Whether the paper's Table 2 has this task and hole."""
        return any((row.task, row.hole) == (self.task, self.hole) for row in table2())


def find_edits(folder: Path) -> list[Run]:
    """What was measured of edits below a folder, at any depth: a run for each file of such rows, in the order of paths.

    Each is as the run that it lies in, whose model was edited, but with the rows of edits alone.
    """
    found = list(run_folders([folder], is_run, hidden=False)) if folder.is_dir() else []
    places = {*found} | {path / EDITING for path in found}
    runs = [read_run(path) for path in sorted(places) if (path / RESULTS).is_file()]
    return [_of_its_run(run) for run in runs if run.holds_edits]


def home_of(run: Run) -> Path:
    """The folder of the run that rows lie in: of edits, the one around their own."""
    return run.path.parent if run.holds_edits and run.path.name == EDITING else run.path


def edit_names(every: Iterable[EditStudy]) -> dict[Path, str]:
    """The paths of the runs without the folder that they have in common, by those of the folders of their edits."""
    runs = {run.path: run for study in every for run in study.runs}
    homes = {path: home_of(run) for path, run in runs.items()}
    names = short_names([replace(runs[path], path=home) for path, home in homes.items()])
    return {path: names[home] for path, home in homes.items()}


def edit_studies(runs: Iterable[Run], origins: Origins) -> list[EditStudy]:
    """The studies of edits, no two of one title: those of the paper's Table 2 first, debug runs last.

    Args:
        runs: as `find_edits` gives them, or what was chosen of them.
        origins: where the models of all runs come from.
    """
    every = families(runs, lambda run: run.edits, origins)
    found = [_study(points, code, origins.settings) for family in every for code, points in family]
    return titled(sorted(found, key=_interest))


def is_random(point: Point) -> bool:
    """Whether the order in which its tokens were filled is random."""
    value = point.knob(TEMPERATURE)
    return isinstance(value, float) and value >= RANDOM_ORDER


def by_decoding(point: Point) -> Point:
    """The point as one of the schedule that it was decoded with."""
    row = {key: value for key, value in point.row.items() if key != DECODE_SCHEDULE}
    return replace(point, row={**row, "schedule": point.decode_schedule})


def _of_its_run(run: Run) -> Run:
    """With how the model was trained, where the run that the rows lie in says so."""
    rows = [row for row in run.rows if TASK in row or is_floor(row)]
    if home_of(run) == run.path or run.training:
        return replace(run, rows=rows, choices=())
    trained = read_run(home_of(run))
    return replace(
        run,
        rows=rows,
        training=trained.training,
        settings=trained.settings,
        seeds=trained.seeds,
        sizes=trained.sizes,
        code={**trained.code, **run.code},
        choices=(),
    )


def _study(points: Sequence[Point], code: Code, settings_of: Mapping[str, Mapping[str, Any]]) -> EditStudy:
    """Of models of one schedule that were decoded with others, the schedules are those of the decoding."""
    names = {point.schedule for point in points}
    is_of_decoding = len(names) == 1 and any(point.decode_schedule != point.schedule for point in points)
    every = [by_decoding(point) for point in points] if is_of_decoding else list(points)
    ordered = [point for point in every if not is_random(point)]
    at_random = [point for point in every if is_random(point) and point.decode_schedule == point.schedule]
    group = shared(ordered or every, code, settings_of)
    trained = names.pop() if is_of_decoding else ""
    return EditStudy(*group, in_random_order=at_random if ordered else (), trained=trained)


def _interest(study: EditStudy) -> tuple[Any, ...]:
    """Less for more of it."""
    papers = [(row.task, row.hole) for row in table2()]
    pair = (study.task, study.hole)
    place = papers.index(pair) if pair in papers else len(papers)
    return bool(study.debug), study.code.age, study.data, place, *pair, study.trained, -len(study.points), study.heading
