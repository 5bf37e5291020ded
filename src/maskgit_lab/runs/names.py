"""The names of files in the folder of a run."""

from __future__ import annotations

CONFIG, RECORD = "config.yaml", "run.json"
CODE = "code.json"  # fingerprints of code to the hashes of its files
LAST = "last.ckpt"
METRICS = "metrics.csv"  # what was logged of the trainings
CKPT = ".ckpt"
COSTS = "costs"  # the folder of what each process has cost
CHECKPOINTS = "checkpoints"
TEMPERATURE = "temperature"  # the folder of what a choice temperature was chosen by
RUNTIME = "runtime"  # the folder of how long decoding takes
