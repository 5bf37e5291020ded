"""The names of files in the folder of a run."""

from __future__ import annotations

CONFIG, RECORD = "config.yaml", "run.json"
LAST = "last.ckpt"
