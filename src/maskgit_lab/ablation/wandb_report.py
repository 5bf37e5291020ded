"""The comparison as a W&B Report: the table in the form of Table 3, curves by schedule, sample grids, a comparer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wandb_workspaces import expr
from wandb_workspaces.reports.v2.interface import (
    H1,
    H2,
    BlockTypes,
    Config,
    Layout,
    LinePlot,
    MarkdownBlock,
    MediaBrowser,
    PanelGrid,
    Report,
    RunComparer,
    Runset,
    RunsetGroup,
    RunsetGroupKey,
    TableOfContents,
)

from maskgit_lab.ablation.curves import Metric, metrics_of
from maskgit_lab.ablation.studies import Study
from maskgit_lab.ablation.styles import styles
from maskgit_lab.ablation.tables import Table, papers_form

STEP = "eval/steps"
SCHEDULE = "schedule_name"  # the key of the runs' W&B config; the others that may tell curves apart follow
OTHER_KEYS = ("decode_schedule_name", "choice_temperature", "guidance")
PICTURES = ("pictures/samples", "pictures/filling", "pictures/curve")
RUNSET = "runs"
MOST_LETTERS = 128  # of a title
PANEL_WIDTH, PANEL_HEIGHT, WIDTH = 8, 8, 24  # of the grid's cells


@dataclass(frozen=True)
class Place:
    """Where runs and report lie in W&B."""

    entity: str
    project: str


@dataclass(frozen=True)
class Section:
    """A study, and the W&B runs that it is of.

    Args:
        study: what is compared.
        groups: sweeps that hold these runs and no others; none: `ids` say which runs they are.
        ids: of the runs.
    """

    study: Study
    groups: Sequence[str]
    ids: Sequence[str]


def build(place: Place, sections: Sequence[Section]) -> Report:
    """A report that is not saved yet; its runs have to be in W&B."""
    blocks = [block for section in sections for block in _blocks(place, section)]
    named = sorted({section.study.data for section in sections})
    return Report(
        entity=place.entity,
        project=place.project,
        title=f"Mask schedules and decoding steps on {' and '.join(named)}"[:MOST_LETTERS],
        description="MaskGIT: how good samples are over the number of decoding steps T, for each mask schedule.",
        blocks=[TableOfContents(), *blocks],
        width="fluid",
    )


def save(report: Report) -> str:
    """Sends a report to W&B and gives its address; `wandb` raises what goes wrong."""
    report.save()
    return str(report.url)


def _blocks(place: Place, section: Section) -> list[BlockTypes]:
    return [
        H1(section.study.title),
        MarkdownBlock(_markdown(papers_form(section.study))),
        H2("Curves over T"),
        _curves(place, section),
        H2("Samples and settings"),
        _runs(place, section),
    ]


def _curves(place: Place, section: Section) -> PanelGrid:
    study, keys = section.study, _keys(section.study)
    return PanelGrid(
        runsets=[_runset(place, section, keys)],
        panels=[_plot(i, metric) for i, metric in enumerate(metrics_of(study))],
        custom_run_colors=_colours(study) if keys == [SCHEDULE] else {},
    )


def _runs(place: Place, section: Section) -> PanelGrid:
    layout = Layout(w=WIDTH, h=PANEL_HEIGHT + 4)
    pictures = MediaBrowser(title="Samples", media_keys=list(PICTURES), num_columns=len(PICTURES), layout=layout)
    comparer = RunComparer(diff_only="split", layout=layout)
    return PanelGrid(runsets=[_runset(place, section, [])], panels=[pictures, comparer])


def _runset(place: Place, section: Section, keys: Sequence[str]) -> Runset:
    chosen = ("Group", section.groups) if section.groups else ("ID", section.ids)
    return Runset(
        entity=place.entity,
        project=place.project,
        name=RUNSET,
        filters=expr.And(expr.Metric(chosen[0]).isin(sorted(chosen[1]))),
        groupby=[f"config.{key}" for key in keys],
    )


def _keys(study: Study) -> list[str]:
    """What tells curves apart: the schedule, and what else the points differ in."""
    rows = [point.row for point in study.points]
    values = {
        "decode_schedule_name": {row.get("decode_schedule") == row["schedule"] for row in rows} | {True},
        **{key: {row.get(key) for row in rows} for key in OTHER_KEYS[1:]},
    }
    return [SCHEDULE, *(key for key in OTHER_KEYS if len(values[key]) > 1)]


def _plot(index: int, metric: Metric) -> LinePlot:
    column, row = index % (WIDTH // PANEL_WIDTH), index // (WIDTH // PANEL_WIDTH)
    return LinePlot(
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
        layout=Layout(x=column * PANEL_WIDTH, y=row * PANEL_HEIGHT, w=PANEL_WIDTH, h=PANEL_HEIGHT),
    )


def _colours(study: Study) -> dict[str | RunsetGroup, str | dict[Any, Any]]:
    looks = styles(str(point.row["schedule"]) for point in study.points)
    key = Config(SCHEDULE)
    return {
        RunsetGroup(runset_name=RUNSET, keys=(RunsetGroupKey(key=key, value=name),)): look.colour
        for name, look in looks.items()
    }


def _markdown(table: Table) -> str:
    over = [name for name, n in table.groups or [("", len(table.head))] for _ in range(n)]
    head = [f"{name}: {cell}" if name else cell for name, cell in zip(over, table.head, strict=True)]
    rows = [
        [f"**{cell}**" if (r, c) in table.bold else cell for c, cell in enumerate(row)]
        for r, row in enumerate(table.rows)
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
