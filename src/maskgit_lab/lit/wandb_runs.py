"""Runs read back from Weights & Biases: what is there, and the rows of results that were logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import wandb
from wandb.apis.public import Api
from wandb.apis.public import Run as ApiRun
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.lit.loggers.wandb import CONSTANTS, CURVES, STEP, TABLE
from maskgit_lab.lit.loggers.wandb_connection import why_offline
from maskgit_lab.runs.results import SAMPLES, SETTINGS, identity, origin

PREFIX = f"{SAMPLES}/"
SECONDS = 30  # that the server may take for an answer
FAILURES = (wandb.Error, WandbApiFailedError, ValueError, TypeError)


def default_entity(entity: str | None = None) -> str:
    """The entity, or the account's own where none is given.

    Raises:
        UserError: there is no account, its server does not answer, or the account has no entity.
    """
    found = entity or _api().default_entity
    if not found:
        raise UserError("this W&B account has no entity: name one with wandb.entity=NAME")
    return found


def logged_runs(project: str, entity: str, ids: Sequence[str]) -> dict[str, str | None]:
    """The ids of those runs that are in a project, each with the sweep that it belongs to.

    Args:
        project: its name.
        entity: whose project it is.
        ids: of runs.

    Raises:
        UserError: there is no account, its server does not answer, or it has no such project.
    """
    return {run.id: run.group for run in _runs(project, entity, {"name": {"$in": list(ids)}})}


def read_rows(project: str, entity: str | None = None, group: str | None = None) -> list[dict[str, Any]]:
    """The rows of results of all runs of a project, as `results.jsonl` has them; a point that is there twice with
    the same code, once.

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
    return list({(identity(row), *origin(row)): row for row in rows}.values())


@contextmanager
def explaining(what: str) -> Iterator[None]:
    """Turns W&B's own errors into one sentence on what it does not accept.

    Raises:
        UserError: in place of W&B's own errors.
    """
    try:
        yield
    except FAILURES as error:
        raise UserError(
            f"W&B does not accept {what} ({first_line(error)}): try again, or name another project"
        ) from error


def _api() -> Api:
    with explaining("the environment's WANDB_ settings"):
        wandb.setup(settings=wandb.Settings(silent=True))
        reason = why_offline()
    if reason:
        raise UserError(
            f"W&B is not available ({reason}): it needs an account (`wandb login`) and a network connection"
        )
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
            f"W&B returns no runs of the project {entity}/{project} ({first_line(error)}): check the names of project "
            "and entity"
        ) from error


def _rows_of(run: ApiRun) -> Iterator[dict[str, Any]]:
    """A point is what all points of a run share, which is in its config, with what was logged of it alone."""
    shared = run.config.get(CONSTANTS) or {}
    for logged in run.scan_history(use_cache=False):
        points = {key.removeprefix(PREFIX): value for key, value in logged.items() if key.startswith(PREFIX)}
        values = {key: value for key, value in points.items() if key not in (TABLE, CURVES)}
        if values.keys() - {STEP}:
            row = {key: _as_measured(key, value) for key, value in {**shared, **values}.items()}
            if isinstance(row.get("n_samples"), int):
                yield row


def _as_measured(key: str, value: Any) -> Any:
    """W&B turns 4.0 into 4, which would be another point: of all numbers of a row only its settings are integers."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole and key not in SETTINGS else value
