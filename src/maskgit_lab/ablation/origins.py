"""Where models come from: what rows of the same weights say of each other, whichever command measured them.

A row of an exported file, or of an evaluation in a folder of its own, thus belongs to the run that trained the model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.runs.results import Row

MODEL = "model"
COMPLETED = ("data", "training_code")  # keys that a row may lack and another row of its model has
DEBUG = "debug"


@dataclass(frozen=True)
class Origins:
    """What is known of each model, by the hash of its weights, and of its training and code."""

    trained: Mapping[str, Run]  # the run with a config that has rows of it
    keys: Mapping[str, Row]  # what its rows say, those of runs with a config before others
    settings: Mapping[str, Mapping[str, Any]]  # of each training
    first_seed: Mapping[str, int]  # of the samples of each model
    code: Mapping[str, Mapping[str, str]]  # fingerprints of code to its files and their hashes

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Origins:
        """What runs say; where several trained the same weights, the one whose settings most models share."""
        found = list(runs)
        models = Counter(run.training for run in found for _ in {row.get(MODEL) for row in run.generated})
        trained: dict[str, Run] = {}
        keys: dict[str, dict[str, Any]] = defaultdict(dict)
        for run in sorted(found, key=lambda run: (not run.training, -models[run.training])):
            for row in (row for row in run.generated if row.get(MODEL)):
                if run.training:
                    trained.setdefault(row[MODEL], run)
                said = {key: row[key] for key in (*COMPLETED, DEBUG) if key in row}
                keys[row[MODEL]] = said | keys[row[MODEL]]
        settings = {run.training: run.settings for run in found if run.training}
        code = {name: files for run in found for name, files in run.code.items()}
        return cls(trained, dict(keys), settings, _first_seeds(found), code)

    def run_of(self, run: Run, row: Row) -> Run:
        """The run that trained the model of a row; the row's own run if no config tells."""
        return self.trained.get(str(row.get(MODEL)), run)

    def seeds_of(self, run: Run, row: Row) -> Seeds:
        """The seeds of a row's model, by its config.

        Where there is none, that of the training is taken to be the lowest of its samples: train.py uses one for both.
        """
        known = self.run_of(run, row).seeds
        return known or Seeds(self.first_seed.get(str(row.get(MODEL, "")), int(row.get("seed", 0))))

    def complete(self, run: Run, row: Row) -> Row:
        """A row with what other rows of its model say; whether that is a try is asked only where there is no config."""
        missing = COMPLETED if run.training else (*COMPLETED, DEBUG)
        known = self.keys.get(str(row.get(MODEL)), {})
        added = {key: known[key] for key in missing if key in known and key not in row}
        return {**row, **added} if added else row


def _first_seeds(runs: Iterable[Run]) -> dict[str, int]:
    """The lowest seed of the samples of each model that is named."""
    found: dict[str, int] = {}
    for row in (row for run in runs for row in run.generated if row.get(MODEL)):
        seed = int(row.get("seed", 0))
        found[row[MODEL]] = min(seed, found.get(row[MODEL], seed))
    return found
