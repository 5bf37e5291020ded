"""Which rows are points of a curve, which are of loose images, and which are neither."""

from __future__ import annotations

from collections.abc import Iterable

from maskgit_lab.ablation.results import Row
from maskgit_lab.ablation.runs import Run

MOST = 2**63  # of T and seeds


def loose_rows(runs: Iterable[Run]) -> list[tuple[Run, Row]]:
    """Rows of images that no model at hand made: they have no T, and so no curve."""
    return [(run, row) for run in runs for row in run.rows if _is_loose(row)]


def unusable_rows(runs: Iterable[Run]) -> list[tuple[Run, Row]]:
    """Rows that are neither points nor of loose images: what they were measured with is missing or makes no sense."""
    return [(run, row) for run in runs for row in run.rows if not is_point(row) and not _is_loose(row)]


def _is_loose(row: Row) -> bool:
    return "steps" not in row


def is_point(row: Row) -> bool:
    """Whether the row says which point it is; files may have been edited, or come from elsewhere."""
    names = (row.get("schedule"), row.get("decode_schedule", ""), row.get("model", ""), row.get("cas_classifier", ""))
    settings = (row.get("choice_temperature", 0.0), row.get("guidance", 0.0))
    return (
        all(isinstance(name, str) for name in names)
        and _is_whole(row.get("steps"), 1)
        and _is_whole(row.get("seed", 0), 0)
        and all(isinstance(value, int | float) and abs(value) < float("inf") for value in settings)
    )


def _is_whole(number: object, least: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= MOST
