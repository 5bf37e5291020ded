"""Rows of how long decoding takes, as the benchmark writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskgit_lab.runs.timings import TIMINGS, Timings

CODE = {"maskgit_lab/evaluation/timing.py": "0123456789ab"}
PLACE = {"device": "cpu", "threads": 1, "torch": "2.9.0", "load": 1.0, "weights": "random", "precision": "32"}
NETWORK = {"depth": 2, "heads": 2, "width": 32, "mlp_width": 128, "codes": 64, "classes": 10}


def timing(seconds: float | None = 0.1, tokens: int = 256, batch_size: int = 1, **own: Any) -> dict[str, Any]:
    """A row; without `kv_cache` of MaskGIT at T = 8, and without seconds of a cell that was left out."""
    decoder = {"decoder": "autoregressive"} if "kv_cache" in own else {"decoder": "maskgit", "steps": 8}
    measured: dict[str, Any] = {"expected_seconds": 7200.0}
    if seconds is not None:
        measured = {"seconds": seconds, "seconds_lowest": 0.9 * seconds, "seconds_highest": 1.2 * seconds, "n": 3}
        measured |= {"cpu_seconds": seconds / 2}
    checked = {"other_tokens": 0} if own.get("kv_cache") is False and seconds is not None else {}
    shape = {"tokens": tokens, "batch_size": batch_size}
    return {**decoder, "guidance": 0.0, **NETWORK, **shape, **PLACE, **measured, **checked, **own}


def figure() -> list[dict[str, Any]]:
    """Two lengths and batch sizes by every decoder, and a cell that was left out."""
    rows = []
    for tokens in (256, 1024):
        for batch_size in (1, 8):
            at = {"tokens": tokens, "batch_size": batch_size}
            rows += [timing(tokens / 2560, **at), timing(tokens / 1707, steps=12, **at)]
            rows += [timing(tokens / 640, kv_cache=True, **at), timing(tokens**2 / 51200, kv_cache=False, **at)]
    rows[-1] = timing(None, 1024, 8, kv_cache=False)
    return rows


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """The file of rows in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        Timings(folder / TIMINGS).append(row, CODE)
    return folder / TIMINGS
