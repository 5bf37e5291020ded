"""A run as the stand-in for the W&B server keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

ENTITY = "lab"


@dataclass
class ServedRun:
    """A run as the server knows it."""

    name: str  # the id in its address
    project: str
    entity: str = ENTITY
    display_name: str = ""
    group: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def node(self) -> dict[str, Any]:
        """As GraphQL gives it; W&B wraps each value of a config."""
        return {
            **dict.fromkeys(("commit", "description", "systemMetrics")),
            "notes": self.notes,
            "user": {"name": "Somebody", "username": "somebody"},
            "id": f"id-{self.name}",
            "projectId": "7",
            "name": self.name,
            "displayName": self.display_name,
            "sweepName": self.sweep,
            "state": "finished",
            "group": self.group,
            "jobType": self.job_type,
            "tags": self.tags,
            "readOnly": False,
            "createdAt": "2025-01-01T00:00:00",
            "heartbeatAt": "2025-01-01T00:00:00",
            "historyLineCount": len(self.history),
            "config": json.dumps({key: {"value": value} for key, value in self.config.items()}),
            "summaryMetrics": json.dumps(self.summary),
            "historyKeys": {"lastStep": self.last_step, "keys": {}},
        }

    @property
    def last_step(self) -> int:
        return max((row["_step"] for row in self.history), default=-1)


def fits(run: ServedRun, wanted: dict[str, Any]) -> bool:
    """The few of MongoDB's filters that are asked for here."""
    for key, value in wanted.items():
        there = {"group": run.group, "name": run.name}[key]
        if there not in (value["$in"] if isinstance(value, dict) else [value]):
            return False
    return True
