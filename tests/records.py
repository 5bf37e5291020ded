"""Records of runs that a test changes as if they had been written so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskgit_lab.fingerprints import checksum
from maskgit_lab.runs.names import RECORD
from maskgit_lab.runs.record import ClassifierRecord, DataRecord, Record, TokenizerRecord, TokensRecord

# Of a run that has something of every kind.
WHOLE = Record(
    **{"fingerprint": "0" * 12, "config": "a" * 64, "command": ["debug=tiny"], "code": "1" * 12, "wandb_id": "id"},
    cache="../../cache",
    data=DataRecord("digits", 16, ["0", "1"], "f"),
    tokenizer=TokenizerRecord("cache:tokenizer/0123456789ab/model.safetensors", "b" * 64, {"mse": 0.5}),
    tokens=TokensRecord("run:../../codes", "c"),
    classifier=ClassifierRecord("cache:classifier/0123456789ab", 0.5, 0.9),
    sizes={"tokens": 4},
)


def read_record(run: Path) -> dict[str, Any]:
    """The values of a record."""
    values: dict[str, Any] = json.loads((run / RECORD).read_text())
    return values


def write_record(run: Path, values: Mapping[str, Any]) -> None:
    """Writes a record with the checksum of what it holds."""
    (run / RECORD).write_text(json.dumps({**values, "checksum": checksum(values)}))


def change_record(run: Path, **changes: Any) -> None:
    """Changes some values of a record."""
    write_record(run, read_record(run) | changes)
