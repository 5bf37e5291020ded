"""Runs read back from Weights & Biases: what is there, and the rows of results that were logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import wandb
from wandb.apis.public import Api
from wandb.apis.public import Run as ApiRun
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.lit.logger import TABLE, why_offline

PREFIX = "eval/"
SECONDS = 30  # that the server may take for an answer
# W&B turns 4.0 into 4, by which a point would be another one: of all numbers of a row only these are integers.
COUNTS = {
    *("steps", "seed", "n_samples", "reference_features", "splits", "neighbours"),
    *("kid_subsets", "kid_subset_size", "nll_draws"),
}
SCALES = ("choice_temperature", "guidance")
FAILURES = (wandb.Error, WandbApiFailedError, ValueError, TypeError)


@dataclass(frozen=True)
class LoggedRun:
    """A run that is in W&B: its id, and the sweep that it belongs to."""

    id: str
    group: str | None


def default_entity(entity: str | None = None) -> str:
    """The entity, or the account's own where none is given.

    Raises:
        UserError: there is no account, its server does not answer, or the account has no entity.
    """
    found = entity or _api().default_entity
    if not found:
        raise UserError("W&B knows no entity of this account: name one with wandb.entity=NAME")
    return found


def logged_runs(project: str, entity: str, ids: Sequence[str]) -> list[LoggedRun]:
    """Those of the runs that are in a project.

    Args:
        project: its name.
        entity: whose project it is.
        ids: of runs.

    Raises:
        UserError: there is no account, its server does not answer, or it has no such project.
    """
    return [LoggedRun(run.id, run.group) for run in _runs(project, entity, {"name": {"$in": list(ids)}})]


def read_rows(project: str, entity: str | None = None, group: str | None = None) -> list[dict[str, Any]]:
    """The rows of results of all runs of a project, as `results.jsonl` has them; a point that is there twice, once.

    Args:
        project: its name.
        entity: whose project it is; None: the account's own.
        group: only the runs of this sweep; None: of all.

    Raises:
        UserError: there is no account, its server does not answer, or there is no such project, or nothing in it.
    """
    owner = default_entity(entity)
    runs = list(_runs(project, owner, {"group": group} if group else {}))
    with explaining(f"the request for the points of {owner}/{project}"):
        rows = [row for run in runs for row in _rows_of(run)]
    if not rows:
        where = f"{owner}/{project}" + (f", group {group}" if group else "")
        raise UserError(f"the W&B project {where} has no points: log an evaluation there first, or name another")
    return list({_point(row): row for row in rows}.values())


@contextmanager
def explaining(what: str) -> Iterator[None]:
    """Says what W&B does not take, where it raises an error.

    Raises:
        UserError: in place of W&B's own errors.
    """
    try:
        yield
    except FAILURES as error:
        raise UserError(
            f"W&B does not take {what} ({first_line(error)}): try again, or name another project"
        ) from error


def _api() -> Api:
    wandb.setup(settings=wandb.Settings(silent=True))
    reason = why_offline()
    if reason:
        raise UserError(f"W&B is not to be reached ({reason}): it needs an account, by `wandb login`, and a network")
    try:
        return Api(timeout=SECONDS)
    except FAILURES as error:
        raise UserError(f"W&B refuses the account ({first_line(error)}): log in again with `wandb login`") from error


def _runs(project: str, entity: str, filters: Mapping[str, Any]) -> Iterator[ApiRun]:
    api = _api()
    try:
        yield from api.runs(f"{entity}/{project}", filters=dict(filters), order="+created_at")
    except FAILURES as error:
        raise UserError(
            f"W&B gives no runs of the project {entity}/{project} ({first_line(error)}): check the names of project "
            "and entity"
        ) from error


def _rows_of(run: ApiRun) -> Iterator[dict[str, Any]]:
    for logged in run.scan_history(use_cache=False):
        values = {
            key.removeprefix(PREFIX): value for key, value in logged.items() if key.startswith(PREFIX) and key != TABLE
        }
        row = {key: _as_measured(key, value) for key, value in values.items()}
        if isinstance(row.get("n_samples"), int):
            yield row


def _as_measured(key: str, value: Any) -> Any:
    return float(value) if isinstance(value, int) and key not in COUNTS else value


def _point(row: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    """The settings of a row: all that is not measured, and not a version."""
    said = (key for key, value in row.items() if isinstance(value, str) and not key.startswith("version_"))
    return frozenset((key, row[key]) for key in {*said, *COUNTS, *SCALES} & row.keys())
