"""Reading runs: every folder with results below a folder, how its model was trained, and what is missing or damaged."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import yaml

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint, flatten
from maskgit_lab.paths import text_of
from maskgit_lab.runs.codes import read_codes
from maskgit_lab.runs.finding import run_folders
from maskgit_lab.runs.names import CODE, CONFIG, RECORD, TEMPERATURE
from maskgit_lab.runs.results import PURPOSE, RESULTS, TASK, Results, Row, grid_path, identity, is_floor, knobs
from maskgit_lab.settings import EVALUATION, PLACES

# Groups of a config that do not say how the model was trained, or that a curve compares: seeds and schedules.
NOT_OF_THE_TRAINING = {*PLACES, *EVALUATION, "seed", "schedule"}
# Groups of the other kind of model; configs of earlier versions, which are all of MaskGIT, lack those of the baseline.
AUTOREGRESSIVE, MASKGIT = "autoregressive", "maskgit"
OF_THE_OTHER = {AUTOREGRESSIVE: {"mvtm"}, MASKGIT: {"model", AUTOREGRESSIVE}}
TOKENIZER_SEED = "tokenizer.seed"  # and so is this one of another group
LARGEST = 2**63  # T and seeds
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it was built


class Seeds(NamedTuple):
    """What tells apart models that were trained alike: with the same seeds, all schedules meet the same chance."""

    training: int  # of the transformer: its initialisation, the order of its data, and its masks
    tokenizer: int = 0  # of the tokenizer whose codes it models

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Seeds | None:
        """Those of a run's config, of any version; None where it does not say."""
        group = config.get("tokenizer")
        training, tokenizer = config.get("seed"), group.get("seed", 0) if isinstance(group, Mapping) else 0
        return cls(training, tokenizer) if _is_whole(training, 0) and _is_whole(tokenizer, 0) else None


@dataclass(frozen=True)
class Run:
    """A folder with results."""

    path: Path  # of the folder
    rows: list[Row]  # the last of each point
    training: str  # a fingerprint of how its model was trained, apart from schedule and seeds; "": unknown
    n_cut: int = 0  # lines of results that could not be read
    settings: Mapping[str, Any] = field(default_factory=dict)  # what `training` stands for, by dotted keys
    faults: tuple[str, ...] = ()  # what is damaged or missing, each as half a sentence
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # its fingerprints, to files and their hashes
    seeds: Seeds | None = None  # of its model; None: unknown
    modified: float = 0.0  # when a row was added last, in seconds
    choices: tuple[Row, ...] = ()  # what the choice temperature was chosen by: no points of a curve
    sizes: Mapping[str, int] = field(default_factory=dict)  # tokens of an image, parameters; empty where not recorded

    @cached_property
    def points(self) -> list[Row]:
        """Rows that are points of a curve."""
        return [row for row in self.rows if _is_point(row) and PURPOSE not in row and TASK not in row]

    @cached_property
    def edits(self) -> list[Row]:
        """Rows of edits, at any T."""
        return [row for row in self.rows if _is_point(row) and TASK in row]

    @cached_property
    def sequential(self) -> list[Row]:
        """Rows of samples of an autoregressive model, which has no T: they are points of no curve."""
        return [row for row in self.rows if is_autoregressive(row) and _is_named(row) and PURPOSE not in row]

    @property
    def generated(self) -> list[Row]:
        """Rows of samples and edits of any model of ours."""
        return [*self.points, *self.sequential, *self.edits]

    @property
    def external(self) -> list[Row]:
        """Rows of images that none of our models generated: they have no T, and so no curve. Held-out images are among
        them where they were measured beside such images.
        """
        others = [row for row in self.rows if "steps" not in row and not is_autoregressive(row)]
        return others if any("samples" in row for row in others) else [row for row in others if not is_floor(row)]

    @property
    def holds_edits(self) -> bool:
        """Whether it has rows of edits, which are no points of a curve of samples."""
        return any(TASK in row for row in self.rows)

    @property
    def unusable(self) -> list[Row]:
        """All other rows: what identifies their point is missing or not valid."""
        return [
            row
            for row in self.rows
            if ("steps" in row and not _is_point(row)) or (is_autoregressive(row) and not _is_named(row))
        ]

    def grid(self, row: Row) -> Path | None:
        """The picture of a row's samples, or else the run's own grid of samples; None if neither exists."""
        candidates = (grid_path(self.path, row), self.path / "pictures" / "samples.png")
        return next((path for path in candidates if path.is_file()), None)


def find_runs(folder: Path, *, least: int = 1) -> list[Run]:
    """Every run below a folder, at any depth, in the order of their paths.

    Args:
        folder: where to look.
        least: 0 where a folder without a single result will do.

    Raises:
        UserError: there is no such folder, or no run in it.
    """
    if not folder.exists():
        raise UserError(f"runs={folder} does not exist: name a folder that holds runs, such as outputs/digits")
    if not folder.is_dir():
        raise UserError(f"runs={folder} is a file: name the folder that holds the runs")
    every = [read_run(path) for path in sorted(run_folders([folder], is_run, hidden=False))]
    runs = [kept for run in every if (kept := _without_edits(run)) is not None]
    if least and not any(run.rows for run in runs):
        what = _without_results(runs) if runs else f"no {RESULTS}"
        raise UserError(f"runs={folder} holds {what}: train and evaluate something first, or name another folder")
    return runs


def _without_results(runs: Sequence[Run]) -> str:
    """Runs of which no row can be read."""
    which = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    if n_cut := sum(run.n_cut for run in runs):
        return f"{which} without a single valid result ({n_cut} damaged lines in {RESULTS})"
    return f"{which} without a single result"


def short_names(runs: Sequence[Run]) -> dict[Path, str]:
    """The runs' paths without the folder that they have in common."""
    paths = {run.path: run.path.absolute() for run in runs}
    if not paths:
        return {}
    common = Path(os.path.commonpath(paths.values())) if len(paths) > 1 else next(iter(paths.values())).parent
    return {path: absolute.relative_to(common).as_posix() for path, absolute in paths.items()}


def is_run(files: Collection[str]) -> bool:
    """Whether a folder with these files has results, or was to have some."""
    return RESULTS in files or (RECORD in files and CONFIG in files)


def read_run(path: Path) -> Run:
    """The results in a folder, and what else its files say of its model."""
    results = path / RESULTS
    rows, n_cut = Results(results).read()
    config, faults = _read_config(path / CONFIG)
    code = read_codes(path / CODE)
    about_code = [f"its {CODE} is damaged, so the files of its code are not known"] if code is None else []
    settings = _training(config)
    return Run(
        path=path,
        rows=list(rows),
        training=fingerprint({key: str(value) for key, value in settings.items()}) if settings else "",
        n_cut=n_cut,
        settings=settings,
        faults=(*faults, *about_code, *_unfinished(path, config, rows)),
        code=code or {},
        seeds=Seeds.of_config(config),
        modified=results.stat().st_mtime if results.exists() else 0.0,
        choices=_choices(path),
        sizes=_sizes(path),
    )


def _without_edits(run: Run) -> Run | None:
    """None where there is nothing else."""
    if not run.holds_edits:
        return run
    kept = replace(run, rows=[row for row in run.rows if TASK not in row])
    return kept if kept.generated or kept.external else None


def _choices(path: Path) -> tuple[Row, ...]:
    """The last row of each point, whichever code measured it, of as many samples as the last choice was made on."""
    rows = [row for row in Results(path / TEMPERATURE / RESULTS).rows() if _is_point(row)]
    return tuple({identity(row): row for row in rows if row.get("labels") == rows[-1].get("labels")}.values())


def _training(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the training depends on, by dotted keys; as `settings.training`, but of configs of any version."""
    trainer = config.get("trainer")
    precision = {"precision": trainer["precision"]} if isinstance(trainer, dict) and "precision" in trainer else {}
    left_out = NOT_OF_THE_TRAINING | OF_THE_OTHER.get(str(config.get("model") or MASKGIT), set())
    found = flatten({key: value for key, value in config.items() if key not in left_out} | precision)
    return {key: value for key, value in found.items() if key != TOKENIZER_SEED}


def _read_config(path: Path) -> tuple[dict[str, Any], list[str]]:
    if not path.is_file():
        return {}, []
    try:
        config = yaml.load(path.read_bytes(), Loader=_Loader)  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        return {}, ["its config.yaml is damaged, so it is unknown how its model was trained"]
    return {str(key): value for key, value in config.items()}, []


def _unfinished(path: Path, config: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """What the run was asked for and has not done yet."""
    if config.get("stage") != "all" or not (path / RECORD).is_file():
        return []
    try:
        record = json.loads(text_of(path / RECORD))
        parts = record.get("done", record)  # earlier versions kept the parts apart, and then had `evaluation`
        done = {part for part in ("mvtm", AUTOREGRESSIVE, "evaluation") if parts.get(part) is not None}
        done |= {"evaluation"} if parts.get("measured") else set()
    except (OSError, ValueError, AttributeError, RecursionError):
        return ["its run.json is damaged"]
    if "evaluation" in done:
        return []
    groups = [group for key in ("decode", "eval") if isinstance(group := config.get(key), dict)]
    steps = next((group["steps"] for group in groups if group.get("steps") is not None), None)
    measured = {row.get("steps") for row in rows}
    missing = [str(t) for t in steps if _is_whole(t, 1) and t not in measured] if isinstance(steps, list) else []
    what = f"T = {', '.join(missing)} not measured yet" if missing else "its evaluation is not marked as done"
    return [f"unfinished: {what if done else 'its training has not ended'}"]


def is_autoregressive(row: Row) -> bool:
    """Whether a row is of an autoregressive model: it names the order of the tokens, and no T."""
    return "order" in row and "steps" not in row and not is_floor(row) and "samples" not in row


def _sizes(path: Path) -> dict[str, int]:
    """The sizes of the run's models, as its record has them."""
    try:
        record = json.loads(text_of(path / RECORD))
        return {str(key): size for key, size in record.get("sizes", {}).items() if _is_whole(size, 0)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _is_point(row: Row) -> bool:
    """Whether the row identifies its point of a curve."""
    return isinstance(row.get("schedule"), str) and _is_whole(row.get("steps"), 1) and _is_named(row)


def _is_named(row: Row) -> bool:
    """Whether what identifies the row's samples is valid; files may have been edited, or come from elsewhere."""
    names = (row.get(key, "") for key in ("decoder", "decode_schedule", "model", "cas_classifier", "order"))
    return (
        all(isinstance(name, str) for name in names)
        and _is_whole(row.get("seed", 0), 0)
        and _is_whole(row.get("repeat", 0), 0)
        and all(not isinstance(value, float) or math.isfinite(value) for value in knobs(row).values())
    )


def _is_whole(number: object, least: int) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= LARGEST
