"""The names of files in the folder of a run."""

from __future__ import annotations

CONFIG, RECORD = "config.yaml", "run.json"
BEFORE = "run.previous.json"  # the record as it was before it was last written
DAMAGED = "run.damaged.json"  # a record that another took the place of
DAMAGED_CONFIG = "config.damaged.yaml"  # settings that others took the place of
CODE = "code.json"  # fingerprints of code to the hashes of its files
LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"  # the generation before, while the training goes on
METRICS = "metrics.csv"  # what was logged of the trainings
CKPT = ".ckpt"
COSTS = "costs"  # the folder of what each process has cost
CHECKPOINTS = "checkpoints"
TEMPERATURE = "temperature"  # the folder of what a choice temperature was chosen by
RUNTIME = "runtime"  # the folder of how long decoding takes
EDITING = "editing"  # the folder of what edits were measured
