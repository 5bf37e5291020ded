"""What a report contains, before it becomes HTML or Markdown: a chapter of figures, tables and sentences a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.baselines import with_baselines
from maskgit_lab.ablation.classifiers import across, alike
from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.ranking import Ranking, rank
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.titles import differences
from maskgit_lab.report import sentences
from maskgit_lab.report.agreement import classifier_sentences, order_sentences
from maskgit_lab.report.editing import EditChapter
from maskgit_lab.report.levels import about_deviations
from maskgit_lab.report.maps import Map, all_maps
from maskgit_lab.report.panels import Panel, curve_panels, knob_panels, papers_panel, side_by_side
from maskgit_lab.report.runtime import RuntimeChapter
from maskgit_lab.report.samples import Picture, sample_pictures
from maskgit_lab.report.table1 import ModelsChapter, models_chapters
from maskgit_lab.report.tables import Table, cost_table, external_table, pairs_table, papers_form
from maskgit_lab.report.temperature import Reading, best_steps_panels, choice_panels, second_reading
from maskgit_lab.report.words import EDGE, EDGE_NOTE
from maskgit_lab.runs.costs import costs_of


@dataclass(frozen=True)
class Chapter:
    """The part of the report on one study."""

    number: int  # from 1
    study: Study  # its points
    apart: Table  # the settings in which it differs from studies that are titled alike
    warnings: Sequence[str]  # what a reader has to know
    pair: Sequence[Panel]  # the distance against T, if it was measured, and beside it FID against T as published
    panels: Sequence[Panel]  # the other metrics against T
    knobs: Mapping[str, Sequence[Panel]]  # metrics against each knob that has several values
    choices: Sequence[Panel]  # best T over the choice temperature, of the samples by which it was chosen
    maps: Sequence[Map]  # of the distance
    table: Table  # in the form of Table 3
    notes: Sequence[str]  # on its deviations and on best T at the edge
    ranking: Ranking | None  # of the schedules; None if there are too few
    order: Sequence[str]  # how the order of the schedules agrees with the paper's
    own: Reading | None  # each schedule at its own choice temperature, where it was measured at several
    pictures: Sequence[Picture]  # of samples at the best T
    run_names: Sequence[str]  # where the points come from


@dataclass(frozen=True)
class Report:
    """The contents of a report."""

    title: str  # of the page
    opening: str  # what the report is of
    faults: Sequence[str]  # what could not be read
    chapters: Sequence[Chapter]  # of the studies
    models: Sequence[ModelsChapter]  # in the form of Table 1, for each way of measuring
    external: Table  # images that none of our models generated
    cost: Table  # of all runs together, by stage
    runtimes: Sequence[RuntimeChapter] = ()  # how long decoding takes, for each network and device
    edits: Sequence[EditChapter] = ()  # of each task and hole


def make_report(
    runs: Sequence[Run],
    every: Sequence[Study],
    names: Mapping[Path, str],
    *,
    bootstrap: int,
    seed: int,
    where: str = "",
    baselines: Sequence[Baseline] = (),
) -> Report:
    """The contents of the report of runs.

    Args:
        runs: all that were found.
        every: their studies.
        names: short ones of the runs' folders.
        bootstrap: resamples of the intervals.
        seed: of the resamples.
        where: the conditions by which the rows were chosen; "": none.
        baselines: autoregressive models of the same runs.
    """
    every = with_baselines(every, baselines)
    chapters: list[Chapter] = []
    grids = sample_pictures([*every, *baselines])
    for study, apart, pictures in zip(every, differences(every), grids, strict=False):
        ranking = rank(curves(study.main, study.distance), bootstrap=bootstrap, seed=seed)
        same = across(alike(study, every), bootstrap=bootstrap, seed=seed)
        order = [*order_sentences(study, ranking), *classifier_sentences(study, same)]
        own = second_reading(study, bootstrap=bootstrap, seed=seed)
        chapters.append(_chapter(len(chapters) + 1, study, pairs_table(apart), (ranking, order), own, pictures, names))
    external = external_table((names[run.path], row) for run in runs for row in run.external)
    faults = sentences.faults_of(runs, names)
    cost = cost_table(costs_of(run.path for run in runs))
    title, opening = sentences.title(every, baselines), sentences.opening(runs, every, where, baselines)
    of_baselines = {one.title: found for one, found in zip(baselines, grids[len(every) :], strict=True)}
    models = models_chapters(every, baselines, names, of_baselines, bootstrap=bootstrap, seed=seed)
    return Report(title, opening, faults, chapters, models, external, cost)


def _chapter(
    number: int,
    study: Study,
    apart: Table,
    ranked: tuple[Ranking | None, Sequence[str]],
    own: Reading | None,
    pictures: Sequence[Picture],
    names: Mapping[Path, str],
) -> Chapter:
    panels, table = curve_panels(study), papers_form(study)
    distance = [panel for panel in panels if panel.metric == study.distance]
    knobs = {knob: [*best_steps_panels(study, knob), *knob_panels(study, knob)] for knob in study.axes}
    return Chapter(
        number=number,
        study=study,
        apart=apart,
        warnings=sentences.warnings(study, names),
        pair=side_by_side([*distance, papers_panel(with_baseline=bool(study.baselines))]),
        panels=[panel for panel in panels if panel not in distance],
        knobs={knob: drawn for knob, drawn in knobs.items() if drawn},
        choices=choice_panels(study),
        maps=all_maps(study),
        table=table,
        notes=_notes(study, table),
        ranking=ranked[0],
        order=ranked[1],
        own=own,
        pictures=pictures,
        run_names=[names[run.path] for run in study.runs],
    )


def _notes(study: Study, table: Table) -> list[str]:
    has_edge = any(EDGE in cell for row in table.rows for cell in row)
    return [*about_deviations(study), *([EDGE_NOTE] if has_edge else [])]
