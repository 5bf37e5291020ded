"""The trained runs of a folder, each of which `sweep.runs` makes the checkpoint of some jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskgit_lab.errors import UserError
from maskgit_lab.runs.finding import run_folders
from maskgit_lab.runs.names import RECORD
from maskgit_lab.settings import SweepConf


def trained_runs(folder: Path, conf: SweepConf) -> list[str]:
    """Every trained run in a folder, or those of one model, or one of those that differ in nothing but their seeds.

    Raises:
        UserError: there is none.
    """
    from maskgit_lab.runs.folder import RunFolder  # imports torch

    found = sorted(run_folders([folder], lambda files: RECORD in files))
    trained = [path for path in found if RunFolder(path).is_done("transformer")]
    if conf.model is not None:
        trained = [path for path in trained if RunFolder(path).settings().model == conf.model]
    if not trained:
        of = "" if conf.model is None else f" of model={conf.model}"
        raise UserError(
            f"sweep.runs={folder} has no trained run{of} in it: name a folder of runs, such as outputs/digits"
        )
    return [str(path) for path in (_lowest_seeds(trained) if conf.one_seed else trained)]


def _lowest_seeds(runs: Sequence[Path]) -> list[Path]:
    """Of runs that differ in nothing but their seeds, the one with the lowest, in the order of the runs."""
    from maskgit_lab.evaluation.chosen import without_seeds
    from maskgit_lab.runs.folder import RunFolder

    settings = {path: RunFolder(path).settings() for path in runs}
    first: dict[str, Path] = {}
    for path in sorted(runs, key=lambda path: settings[path].seed):
        first.setdefault(without_seeds(settings[path]), path)
    return [path for path in runs if path in first.values()]
