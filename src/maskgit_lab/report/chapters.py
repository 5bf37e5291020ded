"""What a report contains, before it becomes HTML or Markdown: a chapter of figures, tables and sentences a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.ranking import Ranking, rank
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.titles import differences
from maskgit_lab.report import sentences
from maskgit_lab.report.agreement import order_sentences
from maskgit_lab.report.maps import Map, all_maps
from maskgit_lab.report.panels import Panel, curve_panels, knob_panels, papers_panel, side_by_side
from maskgit_lab.report.samples import Picture, sample_pictures
from maskgit_lab.report.tables import Table, external_table, pairs_table, papers_form
from maskgit_lab.report.temperature import Reading, best_steps_panels, choice_panels, second_reading


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
    external: Table  # images that none of our models generated


def make_report(
    runs: Sequence[Run],
    every: Sequence[Study],
    names: Mapping[Path, str],
    *,
    bootstrap: int,
    seed: int,
    where: str = "",
) -> Report:
    """The contents of the report of runs.

    Args:
        runs: all that were found.
        every: their studies.
        names: short ones of the runs' folders.
        bootstrap: resamples of the intervals.
        seed: of the resamples.
        where: the conditions by which the rows were chosen; "": none.
    """
    chapters: list[Chapter] = []
    for study, apart, pictures in zip(every, differences(every), sample_pictures(every), strict=True):
        ranking = rank(curves(study.main, study.distance), bootstrap=bootstrap, seed=seed)
        own = second_reading(study, bootstrap=bootstrap, seed=seed)
        chapters.append(_chapter(len(chapters) + 1, study, pairs_table(apart), ranking, own, pictures, names))
    external = external_table((names[run.path], row) for run in runs for row in run.external)
    faults = sentences.faults_of(runs, names)
    return Report(sentences.title(every), sentences.opening(runs, every, where), faults, chapters, external)


def _chapter(
    number: int,
    study: Study,
    apart: Table,
    ranking: Ranking | None,
    own: Reading | None,
    pictures: Sequence[Picture],
    names: Mapping[Path, str],
) -> Chapter:
    panels = curve_panels(study)
    distance = [panel for panel in panels if panel.metric == study.distance]
    knobs = {knob: [*best_steps_panels(study, knob), *knob_panels(study, knob)] for knob in study.axes}
    return Chapter(
        number=number,
        study=study,
        apart=apart,
        warnings=sentences.warnings(study, names),
        pair=side_by_side([*distance, papers_panel()]),
        panels=[panel for panel in panels if panel not in distance],
        knobs={knob: drawn for knob, drawn in knobs.items() if drawn},
        choices=choice_panels(study),
        maps=all_maps(study),
        table=papers_form(study),
        ranking=ranking,
        order=order_sentences(study, ranking),
        own=own,
        pictures=pictures,
        run_names=[names[run.path] for run in study.runs],
    )
