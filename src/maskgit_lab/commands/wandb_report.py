"""The W&B Report of studies whose runs were logged to W&B."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from maskgit_lab.ablation.runs import RECORD
from maskgit_lab.ablation.studies import Study
from maskgit_lab.ablation.wandb_report import Place, Section, build, save
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.lit.wandb_runs import default_entity, explaining, logged_runs

LOGGED = re.compile(r"(?:offline-)?run-\d+_\d+-(.+)")  # W&B's folder of a run, which names its id


def publish(cfg: DictConfig, studies: Sequence[Study]) -> None:
    """Saves the report and says its address.

    Args:
        cfg: its `wandb` says where, and of which group if not of all runs of the studies.
        studies: what to compare; those without a run in W&B are left out, and that is said.

    Raises:
        UserError: there is no account, its server does not answer, or none of the runs is there.
    """
    terminal = Terminal()
    place = Place(default_entity(cfg.wandb.entity), cfg.wandb.project)
    ids = [_ids(study) for study in studies]
    there = {run.id: run.group for run in logged_runs(place.project, place.entity, sorted({i for s in ids for i in s}))}
    if cfg.wandb.group is not None:
        there = {i: group for i, group in there.items() if group == cfg.wandb.group}
    found = [(study, [i for i in own if i in there]) for study, own in zip(studies, ids, strict=True)]
    present = [(study, own) for study, own in found if own]
    if not present:
        raise UserError(
            f"none of the runs below {cfg.runs} is in the W&B project {place.entity}/{place.project}: upload them with "
            "`wandb sync RUN_DIR/wandb/offline-run-*`, or name where they are with wandb.project, entity and group"
        )
    for study, own in found:
        if not own:
            terminal.note("wandb", f"left out, since none of its runs is there: {study.title}")
    sections = [Section(study, _groups(own, there, [o for _, o in present]), own) for study, own in present]
    with explaining("the report"):
        address = save(build(place, sections))
    terminal.note("wandb", f"the report is at {address}")


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


def _groups(own: Sequence[str], groups: Mapping[str, str | None], every: Sequence[Sequence[str]]) -> list[str]:
    """The sweeps that hold just these runs; none if some run has no sweep, or shares it with another study."""
    mine = {groups[i] for i in own}
    elsewhere = {groups[i] for others in every for i in others if i not in own}
    return sorted(str(group) for group in mine) if None not in mine and not mine & elsewhere else []
