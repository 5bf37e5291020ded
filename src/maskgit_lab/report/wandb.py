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
from maskgit_lab.ablation.study import Study
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.lit.wandb_runs import default_entity, explaining, logged_runs
from maskgit_lab.metrics.registry import Metric
from maskgit_lab.report.chapters import Chapter
from maskgit_lab.report.pages import escape_markdown, markdown_table
from maskgit_lab.report.styles import styles
from maskgit_lab.runs.names import RECORD

LOGGED = re.compile(r"(?:offline-)?run-\d+_\d+-(.+)")  # W&B's folder of a run, which names its id
STEP = "eval/steps"
SCHEDULE, DECODE_SCHEDULE = "schedule_name", "decode_schedule_name"  # keys of the runs' W&B config, as each knob's own
PICTURES = ("pictures/samples", "pictures/filling", "pictures/curve")
RUNSET = "runs"
MOST_LETTERS = 128  # of a title
PANEL_WIDTH, PANEL_HEIGHT, WIDTH = 8, 8, 24  # of the grid's cells


def publish(
    every: Sequence[Chapter], runs: str, project: str, entity: str | None, group: str | None, where: str = ""
) -> None:
    """Saves the W&B Report of studies and prints its address; studies without a run in W&B are left out, with a note.

    Args:
        every: what the page says of each study.
        runs: the folder that they were read from.
        project: of the runs and the report.
        entity: whose project it is; None: the account's own.
        group: only the runs of this sweep; None: of all.
        where: the conditions by which the rows were chosen; "": none.

    Raises:
        UserError: there is no account, its server does not answer, or none of the runs is there.
    """
    terminal, place = Terminal(), {"entity": default_entity(entity), "project": project}
    ids = [_ids(chapter.study) for chapter in every]
    logged = logged_runs(**place, ids=sorted({name for several in ids for name in several}))
    groups = {name: sweep for name, sweep in logged.items() if group in (None, sweep)}
    if not groups:
        raise UserError(
            f"none of the runs below {runs} is in the W&B project {place['entity']}/{project}: upload them with "
            "`wandb sync RUN_DIR/wandb/offline-run-*`, or name where they are with wandb.project, entity and group"
        )
    blocks: list[wr.BlockTypes] = [wr.TableOfContents()]
    shown = []
    for chapter, several in zip(every, ids, strict=True):
        if own := [name for name in several if name in groups]:
            shown.append(chapter.study.data)
            blocks += _blocks(chapter, {**place, "name": RUNSET, "filters": _filter(own, groups)})
        else:
            terminal.note("wandb", f"left out, since none of its runs is there: {chapter.study.title}")
    title = f"Mask schedules and decoding steps on {' and '.join(sorted(set(shown)))}"[:MOST_LETTERS]
    about = "MaskGIT: how good samples are over the number of decoding steps T, for each mask schedule."
    about += f" Filtered by {where}." if where else ""
    with explaining("the report"):
        report = wr.Report(**place, title=title, description=about, blocks=blocks, width="fluid")
        report.save()
    terminal.note("wandb", f"the report is at {report.url}")


def _ids(study: Study) -> list[str]:
    """The W&B ids of a study's runs: of its training and of each evaluation."""
    found: list[str] = []
    for run in study.runs:
        logged = [match[1] for path in run.path.glob("wandb/*run-*") if (match := LOGGED.fullmatch(path.name))]
        found += logged or _recorded_id(run.path)
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
    layout = wr.Layout(w=WIDTH, h=PANEL_HEIGHT + 4)
    return [
        wr.H1(study.title),
        wr.MarkdownBlock(markdown_table(chapter.table)),
        wr.MarkdownBlock("\n\n".join(escape_markdown(text) for text in (*chapter.order, *chapter.notes))),
        *_own_reading(chapter),
        wr.H2("Curves over T"),
        wr.PanelGrid(
            runsets=[wr.Runset(**runs, groupby=[f"config.{key}" for key in keys])],
            panels=[_plot(i, metric) for i, metric in enumerate(metrics_of(study))],
            custom_run_colors=_colours(study) if keys == [SCHEDULE] else {},
        ),
        wr.H2("Samples and settings"),
        wr.PanelGrid(
            runsets=[wr.Runset(**runs)],
            panels=[
                wr.MediaBrowser(title="Samples", media_keys=list(PICTURES), num_columns=len(PICTURES), layout=layout),
                wr.RunComparer(diff_only="split", layout=layout),
            ],
        ),
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
