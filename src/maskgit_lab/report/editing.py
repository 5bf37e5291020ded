"""The chapters of edits: one for each task and hole, with the paper's Table 2 beside those that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from maskgit_lab.ablation.curves import curve, curves, spread
from maskgit_lab.ablation.editing import (
    ONE_STEP,
    RANDOM_ORDER,
    EditEntry,
    Orders,
    best_schedule,
    entries,
    gains,
    orders,
    plain_study,
)
from maskgit_lab.ablation.edits import EditStudy, is_random
from maskgit_lab.ablation.published import in_order
from maskgit_lab.ablation.ranking import Agreement, Ranking, rank
from maskgit_lab.ablation.study import Study
from maskgit_lab.console import Terminal
from maskgit_lab.report.agreement import format_tau
from maskgit_lab.report.editing_notes import gain_sentences, notes_on, order_sentences
from maskgit_lab.report.editing_tables import edits_table, order_table
from maskgit_lab.report.maps import Map, all_maps
from maskgit_lab.report.matplotlib_figures import draw_map, draw_panels
from maskgit_lab.report.panels import Panel, curve_panels, with_more
from maskgit_lab.report.samples import Picture, sample_pictures
from maskgit_lab.report.sentences import facts, warnings
from maskgit_lab.report.styles import OTHERS, Style, styles
from maskgit_lab.report.tables import Table
from maskgit_lab.report.words import NONE, format_best, format_value, label
from maskgit_lab.runs.results import HELD_OUT, PASTED

TITLE, ORDER = "In the form of the paper's Table 2", "The order of the schedules: edits, samples and the paper"
BESIDE = (RANDOM_ORDER, ONE_STEP, PASTED, HELD_OUT)  # what stands beside the best schedule in the overview
OVERVIEW = "Edits: does the paper's ablation hold?"

ALL_AT_RANDOM = "All of these edits were filled in random order: nothing shows what confidence gives."
ABOUT_OVERVIEW = (
    "The distance is that of the best schedule at its best T. Beside it are the lowest of what was filled in random "
    "order, at the T that is best for that, and in one step. Tau is Kendall's tau-b between the order of the schedules "
    "by edits and that by plain samples, here and in the paper's Table 3: +1 is the same order, 0 no relation, -1 the "
    "reverse."
)


@dataclass(frozen=True)
class EditChapter:
    """The part of the report on one task and hole."""

    key: str  # for file names and anchors
    study: EditStudy  # its points
    entries: Sequence[EditEntry]  # the rows of the table that were measured here
    facts: Sequence[tuple[str, str]]  # a number or a name each, and what it is
    warnings: Sequence[str]  # what a reader has to know
    panels: Sequence[Panel]  # every metric against T
    maps: Sequence[Map]  # of the distance: training by decoding schedules, and over knobs
    table: Table  # each schedule at its best T, baselines, floors, and the paper's rows
    notes: Sequence[str]  # on the table
    order: Table  # the schedules by edits, by samples and in the paper; no rows where there is one schedule
    answers: Sequence[str]  # what the baselines and the order show
    orders: Orders | None  # by edits and by plain samples; None: not known
    ranking: Ranking | None  # of the schedules; None if there are too few
    pictures: Sequence[Picture]  # of edits at the best T
    run_names: Sequence[str]  # where the points come from

    @property
    def title(self) -> str:
        return f"Edits: {self.study.title}"

    @property
    def n_points(self) -> int:
        return len(self.study.points) + len(self.study.in_random_order)

    @property
    def table_title(self) -> str:
        return TITLE if self.study.in_the_paper else "Each schedule at its best T"

    @property
    def looks(self) -> dict[str, Style]:
        """The look of each line, in the order of the legend."""
        return {line.curve.schedule: line.style for panel in self.panels for line in panel.lines}


def edit_chapters(
    every: Sequence[EditStudy], plain: Sequence[Study], names: Mapping[Path, str], *, bootstrap: int, seed: int
) -> list[EditChapter]:
    """One for each study of edits.

    Args:
        every: the studies of edits.
        plain: those of samples.
        names: short ones of the runs' folders.
        bootstrap: resamples of the intervals.
        seed: of the resamples.
    """
    drawn = zip(every, sample_pictures(every), strict=True)
    make = partial(_chapter, plain=plain, names=names, bootstrap=bootstrap, seed=seed)
    return [make(f"edits-{number}", study, pictures) for number, (study, pictures) in enumerate(drawn, 1)]


def overview(chapters: Sequence[EditChapter]) -> Table:
    """A row for each chapter: its best schedule against the baselines and floors, and the agreement of the orders."""
    head = ["edits", "the best", "distance", RANDOM_ORDER, ONE_STEP, "pasted", "held-out", "tau, samples", "tau, paper"]
    names = [f"{chapter.study.task} {chapter.study.hole}, {chapter.study.data}" for chapter in chapters]
    are_plain = len(set(names)) == len(names)
    shown = names if are_plain else [chapter.study.title for chapter in chapters]
    rows = [[name, *_overview(chapter)] for name, chapter in zip(shown, chapters, strict=True)]
    return Table(head, rows, n_texts=2)


def draw_edits(chapter: EditChapter, out: Path) -> list[tuple[str, Path]]:
    """Draws the figures of a chapter as PNG and SVG; returns what each shows, and the PNGs."""
    base = out / "figures" / chapter.key
    files = [("Curves over T", draw_panels(chapter.panels, chapter.title, base))] if chapter.panels else []
    maps = [(one.title, draw_map(one, chapter.title, base.with_name(f"{base.name}-{one.key}"))) for one in chapter.maps]
    return [*files, *maps]


def say_edits(chapters: Sequence[EditChapter], terminal: Terminal) -> None:
    """Prints tables and sentences."""
    for chapter in chapters:
        terminal.say("")
        terminal.table(chapter.title, chapter.table.flat_head, chapter.table.rows, n_texts=chapter.table.n_texts)
        for text in (*chapter.notes, *chapter.warnings):
            terminal.say(text)
        if chapter.order.rows:
            terminal.table(ORDER, chapter.order.flat_head, chapter.order.rows, n_texts=1)
        for text in chapter.answers:
            terminal.say(text)
    if len(chapters) > 1:
        known = overview(chapters)
        terminal.table(OVERVIEW, known.flat_head, known.rows, n_texts=known.n_texts)
        terminal.say(ABOUT_OVERVIEW)


def _chapter(
    key: str,
    study: EditStudy,
    pictures: Sequence[Picture],
    *,
    plain: Sequence[Study],
    names: Mapping[Path, str],
    bootstrap: int,
    seed: int,
) -> EditChapter:
    beside = plain_study(study, plain)
    known = entries(study)
    gained = [*gain_sentences(gains(study, bootstrap=bootstrap, seed=seed), study)]
    found = None if beside is None else orders(study, beside, bootstrap=bootstrap, seed=seed)
    ranking = rank(curves(study.main, study.distance), bootstrap=bootstrap, seed=seed)
    return EditChapter(
        key=key,
        study=study,
        entries=known,
        facts=facts(study, ranking),
        warnings=[*warnings(study, names), *([ALL_AT_RANDOM] if is_random(study.points[0]) else [])],
        panels=_panels(study),
        maps=all_maps(study),
        table=edits_table(study, known),
        notes=notes_on(study, known),
        order=order_table(study, beside),
        answers=[*gained, *order_sentences(study, beside, found, ranking)],
        orders=found,
        ranking=ranking,
        pictures=pictures,
        run_names=[names[run.path] for run in study.runs],
    )


def _panels(study: EditStudy) -> list[Panel]:
    """Every metric against T, with a line of its own for each schedule that was filled in random order."""
    names = in_order(point.schedule for point in study.in_random_order)
    looks = styles(point.schedule for point in study.points)
    free = [style for style in OTHERS if style not in looks.values()]
    more = [
        (f"{name}, {RANDOM_ORDER}", [p for p in study.in_random_order if p.schedule == name], free[i % len(free)])
        for i, name in enumerate(names)
    ]
    panels = []
    for panel in curve_panels(study):
        drawn = ((name, style, curve(points, panel.metric)) for name, points, style in more)
        panels.append(with_more(panel, study, [(replace(one, schedule=n), look) for n, look, one in drawn if one]))
    return panels


def _overview(chapter: EditChapter) -> list[str]:
    study, best = chapter.study, best_schedule(chapter.study)
    means = [(one.kind, spread(one.values.get(study.distance.key, ()))[0]) for one in chapter.entries]
    of_kind = [[mean for kind, mean in means if kind == wanted and mean is not None] for wanted in BESIDE]
    taus = [None if one is None else one.tau for one in (_of_samples(chapter), _of_the_paper(chapter))]
    return [
        NONE if best is None else f"{label(best.schedule)}, T = {format_best(best)}",
        NONE if best is None else format_value(best.best_value),
        *(format_value(min(several)) if several else NONE for several in of_kind),
        *(NONE if tau is None else format_tau(tau) for tau in taus),
    ]


def _of_samples(chapter: EditChapter) -> Agreement | None:
    return None if chapter.orders is None else chapter.orders.agreement


def _of_the_paper(chapter: EditChapter) -> Agreement | None:
    return None if chapter.ranking is None else chapter.ranking.order
