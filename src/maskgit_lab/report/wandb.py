"""The comparison as a W&B Report: the table in the form of Table 3, curves by schedule, sample grids, a comparer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import interface as wr

from maskgit_lab.ablation.curves import metrics_of
from maskgit_lab.ablation.edits import home_of
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.study import Study
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.lit.wandb_runs import default_entity, explaining, logged_runs
from maskgit_lab.metrics.registry import Metric
from maskgit_lab.report.chapters import Chapter, Report
from maskgit_lab.report.editing import ORDER, OVERVIEW, EditChapter, overview
from maskgit_lab.report.pages import escape_markdown, markdown_table
from maskgit_lab.report.panels import PAPERS_KEY
from maskgit_lab.report.styles import styles
from maskgit_lab.report.table1 import DIFFERENCE, TITLE, ModelsChapter
from maskgit_lab.runs.names import RECORD

LOGGED = re.compile(r"(?:offline-)?run-\d+_\d+-(.+)")  # W&B's folder of a run, which names its id
STEP = "eval/steps"
SCHEDULE, DECODE_SCHEDULE = "schedule_name", "decode_schedule_name"  # keys of the runs' W&B config, as each knob's own
PICTURES = ("pictures/samples", "pictures/filling", "pictures/curve")
RUNSET = "runs"
MOST_LETTERS = 128  # of a title
PANEL_WIDTH, PANEL_HEIGHT, WIDTH = 8, 8, 24  # of the grid's cells


def publish(report: Report, runs: str, project: str, entity: str | None, group: str | None, where: str = "") -> None:
    """Saves the W&B Report of studies and prints its address; studies without a run in W&B are left out, with a note.

    Args:
        report: what the page says.
        runs: the folder that they were read from.
        project: of the runs and the report.
        entity: whose project it is; None: the account's own.
        group: only the runs of this sweep; None: of all.
        where: the conditions by which the rows were chosen; "": none.

    Raises:
        UserError: there is no account, its server does not answer, or none of the runs is there.
    """
    terminal, place = Terminal(), {"entity": default_entity(entity), "project": project}
    ids = [_ids(chapter.study) for chapter in report.chapters]
    of_models = [_ids(*models.groups) for models in report.models]
    of_edits = _ids(*(chapter.study for chapter in report.edits))
    logged = logged_runs(**place, ids=sorted({name for several in (*ids, *of_models, of_edits) for name in several}))
    groups = {name: sweep for name, sweep in logged.items() if group in (None, sweep)}
    if not groups:
        raise UserError(
            f"none of the runs below {runs} is in the W&B project {place['entity']}/{project}: upload them with "
            "`wandb sync RUN_DIR/wandb/offline-run-*`, or name where they are with wandb.project, entity and group"
        )
    blocks: list[wr.BlockTypes] = [wr.TableOfContents()]
    for chapter, several in zip(report.chapters, ids, strict=True):
        if own := [name for name in several if name in groups]:
            blocks += _blocks(chapter, {**place, "name": RUNSET, "filters": _filter(own, groups)})
        else:
            terminal.note("wandb", f"left out, since none of its runs is in W&B: {chapter.study.title}")
    there = [models for models, several in zip(report.models, of_models, strict=True) if groups.keys() & several]
    for models in there:
        blocks += _models_blocks(models, place, groups)
    blocks += _edits_blocks(edits := [chapter for chapter in report.edits if groups.keys() & _ids(chapter.study)])
    data = " and ".join(sorted({models.groups[0].data for models in there} | {one.study.data for one in edits}))
    title = f"Mask schedules and decoding steps on {data}"[:MOST_LETTERS]
    about = "MaskGIT: how good samples are over the number of decoding steps T, for each mask schedule."
    about += f" Filtered by {where}." if where else ""
    with explaining("the report"):
        saved = wr.Report(**place, title=title, description=about, blocks=blocks, width="fluid")
        saved.save()
    terminal.note("wandb", f"the report is at {saved.url}")


def _ids(*groups: Group) -> list[str]:
    """The W&B ids of the runs of studies or baselines: of their training and of each evaluation."""
    found: list[str] = []
    for folder in (folder for group in groups for run in group.runs for folder in {run.path, home_of(run)}):
        logged = [match[1] for path in folder.glob("wandb/*run-*") if (match := LOGGED.fullmatch(path.name))]
        found += logged or _recorded_id(folder)
    return sorted(set(found))


def _recorded_id(path: Path) -> list[str]:
    """The id that a training has in W&B, where W&B's own files are gone."""
    try:
        return [str(json.loads((path / RECORD).read_text(encoding="utf-8"))["wandb_id"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _filter(own: Sequence[str], groups: Mapping[str, str | None]) -> Any:
    """The runs of a study: by their sweeps if these hold no run of another study, and else by their ids."""
    mine = {groups[name] for name in own}
    elsewhere = {group for name, group in groups.items() if name not in own}
    is_by_sweep = None not in mine and not mine & elsewhere
    kind, values = ("Group", mine) if is_by_sweep else ("ID", own)
    return expr.And(expr.Metric(kind).isin(sorted(str(value) for value in values)))


def _blocks(chapter: Chapter, runs: Mapping[str, Any]) -> list[wr.BlockTypes]:
    """The blocks of a study.

    Args:
        chapter: what the page says of it.
        runs: what W&B's `Runset` takes to choose its runs.
    """
    study, keys = chapter.study, _keys(chapter.study)
    return [
        wr.H1(study.title),
        wr.MarkdownBlock(markdown_table(chapter.table)),
        wr.MarkdownBlock("\n\n".join(escape_markdown(text) for text in (*chapter.order, *chapter.notes))),
        *_own_reading(chapter),
        wr.H2("Curves over T"),
        *_levels(chapter),
        wr.PanelGrid(
            runsets=[wr.Runset(**runs, groupby=[f"config.{key}" for key in keys])],
            panels=[_plot(i, metric) for i, metric in enumerate(metrics_of(study))],
            custom_run_colors=_colours(study) if keys == [SCHEDULE] else {},
        ),
        *_samples(runs),
    ]


def _levels(chapter: Chapter) -> list[wr.BlockTypes]:
    """What the baselines reach, in words: a line plot of W&B draws what its runs logged over T, and these have none."""
    names = {one.name for one in chapter.study.baselines}
    panels = [panel for panel in (*chapter.pair, *chapter.panels) if panel.key != PAPERS_KEY]
    texts = [
        f"{panel.metric.label}, {text}"
        for panel in panels
        for text in (*(level.text for level in panel.levels if level.name in names), *panel.far)
        if any(text.startswith(f"{name}:") for name in names)
    ]
    about = "Autoregressive models have no T, and so no curve here; the mean over models, and the lowest and highest: "
    return [wr.MarkdownBlock(escape_markdown(f"{about}{'; '.join(texts)}."))] if texts else []


def _models_blocks(
    models: ModelsChapter, place: Mapping[str, Any], groups: Mapping[str, str | None]
) -> list[wr.BlockTypes]:
    """The form of Table 1, and the samples of baselines that are in the project."""
    blocks: list[wr.BlockTypes] = [wr.H1(f"{TITLE}: {models.title}"), wr.MarkdownBlock(markdown_table(models.table))]
    blocks.append(wr.MarkdownBlock(escape_markdown(" ".join(models.notes))))
    if models.differences.rows:
        blocks += [wr.H2(DIFFERENCE), wr.MarkdownBlock(markdown_table(models.differences))]
        blocks.append(wr.MarkdownBlock("\n\n".join(escape_markdown(text) for text in models.about_differences)))
    own = [name for name in _ids(*models.baselines) if name in groups]
    return blocks + (_samples({**place, "name": RUNSET, "filters": _filter(own, groups)}) if own else [])


def _edits_blocks(chapters: Sequence[EditChapter]) -> list[wr.BlockTypes]:
    """What edits show, in tables and in words: W&B's own plots would mix tasks and holes."""
    blocks: list[wr.BlockTypes] = []
    if len(chapters) > 1:
        blocks += [wr.H1(OVERVIEW), wr.MarkdownBlock(markdown_table(overview(chapters)))]
    for chapter in chapters:
        blocks += [wr.H1(chapter.title), wr.MarkdownBlock(markdown_table(chapter.table))]
        blocks.append(wr.MarkdownBlock(escape_markdown(" ".join(chapter.notes))))
        if chapter.order.rows:
            blocks += [wr.H2(ORDER), wr.MarkdownBlock(markdown_table(chapter.order))]
        blocks.append(wr.MarkdownBlock("\n\n".join(escape_markdown(text) for text in chapter.answers)))
    return blocks


def _samples(runs: Mapping[str, Any]) -> list[wr.BlockTypes]:
    """Pictures and settings of runs."""
    layout = wr.Layout(w=WIDTH, h=PANEL_HEIGHT + 4)
    media = wr.MediaBrowser(title="Samples", media_keys=list(PICTURES), num_columns=len(PICTURES), layout=layout)
    comparer = wr.RunComparer(diff_only="split", layout=layout)
    return [
        wr.H2("Samples and settings"),
        wr.PanelGrid(runsets=[wr.Runset(**runs)], panels=[media, comparer]),
    ]


def _own_reading(chapter: Chapter) -> list[wr.BlockTypes]:
    """Each schedule at its own choice temperature, where there is such a reading."""
    if chapter.own is None:
        return []
    texts = [escape_markdown(text) for text in (*chapter.own.notes, *chapter.own.order)]
    blocks = [markdown_table(chapter.own.table), "\n\n".join(texts)]
    return [wr.H2("Each schedule at its own choice temperature"), *(wr.MarkdownBlock(text) for text in blocks)]


def _keys(study: Study) -> list[str]:
    """What distinguishes curves: the schedule, and what else the points differ in."""
    is_coupled = len(study.coupled) == len(study.points)
    return [SCHEDULE, *([] if is_coupled else [DECODE_SCHEDULE]), *study.axes, *study.words]


def _plot(index: int, metric: Metric) -> wr.LinePlot:
    row, column = divmod(index, WIDTH // PANEL_WIDTH)
    return wr.LinePlot(
        title=metric.title,
        x=STEP,
        y=[f"eval/{metric.key}"],
        log_x=True,
        title_x="decoding steps T",
        title_y=metric.label,
        aggregate=True,
        groupby_aggfunc="mean",
        groupby_rangefunc="stddev",
        smoothing_factor=0,
        layout=wr.Layout(x=column * PANEL_WIDTH, y=row * PANEL_HEIGHT, w=PANEL_WIDTH, h=PANEL_HEIGHT),
    )


def _colours(study: Study) -> dict[str | wr.RunsetGroup, str | dict[Any, Any]]:
    key = wr.Config(SCHEDULE)
    return {
        wr.RunsetGroup(runset_name=RUNSET, keys=(wr.RunsetGroupKey(key=key, value=name),)): style.colour
        for name, style in styles(point.schedule for point in study.points).items()
    }
