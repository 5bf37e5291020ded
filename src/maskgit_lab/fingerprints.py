"""Fingerprints: short hashes of everything that a result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LENGTH = 12


def fingerprint(ingredients: Mapping[str, Any]) -> str:
    """A hash of plain values (numbers, strings, lists and dictionaries of them): 12 hexadecimal digits."""
    canonical = json.dumps(ingredients, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:LENGTH]


def checksum(values: Mapping[str, Any]) -> str:
    """A fingerprint of plain values that carry it themselves: of all but `checksum`."""
    return fingerprint({key: value for key, value in values.items() if key != "checksum"})


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flatten(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return flat
