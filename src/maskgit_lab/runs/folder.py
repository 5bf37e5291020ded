"""The folder of a run: whose it is, what is finished in it, where its files lie, and who works in it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import flatten
from maskgit_lab.runs.names import CONFIG, LAST, RECORD
from maskgit_lab.runs.record import DataRecord, Record
from maskgit_lab.runs.results import RESULTS, Results
from maskgit_lab.settings import PLACES, TrainConf, checked, identity, plain, run_fingerprint

OUTPUTS = Path("outputs")
PICTURES = {"reconstructions", "samples", "filling", "curve"}
# What is done in a run of each stage, one after the other.
PARTS = {
    "tokenizer": ("tokenizer", "reconstruction"),
    "tokens": ("tokenizer", "tokens"),
    "mvtm": ("tokenizer", "tokens", "mvtm"),
    "all": ("tokenizer", "tokens", "mvtm", "reconstruction", "evaluation", "pictures"),
}
# What a run that was killed as it began may have left: it is no reason to refuse the folder.
BEGUN = {".lock", CONFIG, f"{RECORD}.tmp"}


class RunFolder:
    """A run on the disk: `config.yaml`, `run.json` (what is done), `checkpoints/`, `results.jsonl`, `pictures/`.

    Raises:
        UserError: there is none, or its record is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = Record.read(path)

    @property
    def checkpoints(self) -> Path:
        """Where the transformer's checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def checkpoint(self) -> Path:
        """The transformer's last checkpoint."""
        return self.checkpoints / LAST

    @property
    def results(self) -> Results:
        """The points evaluated."""
        return Results(self.path / RESULTS)

    @property
    def data(self) -> DataRecord:
        """What the run recorded of its data.

        Raises:
            UserError: nothing, since it has not begun.
        """
        if self.record.data is None:
            raise UserError(f"the run in {self.path} has no data yet: give its train.py command again")
        return self.record.data

    def picture(self, name: str) -> Path:
        """Path of a picture, in a folder that exists."""
        (self.path / "pictures").mkdir(exist_ok=True)
        return self.path / "pictures" / f"{name}.png"

    def pictures(self) -> dict[str, Path]:
        """The pictures that are there, by name."""
        return {path.stem: path for path in sorted((self.path / "pictures").glob("*.png"))}

    def is_complete(self, stage: str) -> bool:
        """Whether all of a stage is done."""
        return all(self.is_done(part) for part in PARTS[stage])

    def is_done(self, part: str) -> bool:
        """Whether a part of the run was finished, and what it left is still there."""
        record = self.record
        if getattr(record, part) is None:
            return False
        if part == "tokenizer":
            return record.tokenizer is not None and Path(record.tokenizer.path).is_file()
        if part == "mvtm":
            return self.checkpoint.exists()
        if part == "evaluation":
            return self.results.by_identity().keys() >= set(record.evaluation or [])
        return part != "pictures" or self.pictures().keys() >= PICTURES

    def save(self) -> None:
        """Writes the record; of several processes the main one does."""
        if ranks.is_main():
            self.record.write(self.path)

    def settings(self) -> TrainConf:
        """The settings that the run was made with.

        Raises:
            UserError: they are missing, damaged, or were changed after the run was made.
        """
        path = self.path / CONFIG
        try:
            settings = checked(TrainConf, yaml.safe_load(path.read_text(encoding="utf-8")))
        except (UserError, yaml.YAMLError, OSError, ValueError, TypeError) as error:
            raise UserError(f"{path} is missing or damaged: name a run with its config") from error
        if run_fingerprint(settings) != self.record.fingerprint:
            raise UserError(f"{path} was changed after the run was made: put its own back")
        return settings


@contextmanager
def opened(settings: TrainConf, overrides: Sequence[str]) -> Iterator[RunFolder]:
    """The run's folder, made if it is absent, and held by this process and those that it works with alone.

    Raises:
        UserError: it cannot be written, holds something else, or is in use.
    """
    if not ranks.is_main():
        yield RunFolder(ranks.share(Path()))
        return
    with _held_for(settings, overrides) as path:
        yield RunFolder(ranks.share(path))


@contextmanager
def held(path: Path, key: str, wait: bool) -> Iterator[None]:
    """Keeps other commands out of a folder.

    Args:
        path: the folder, which exists.
        key: the setting that names it.
        wait: for another process that holds it.

    Raises:
        UserError: another process holds it, or it cannot be written.
    """
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        if not wait:
            raise UserError(f"another process is working in {path}: wait for it, or choose another {key}") from error
        Terminal().note("run", f"another process is working in {path}; waiting for it")
        lock.acquire()
    except OSError as error:
        raise UserError(f"cannot write {key} {path} ({error.strerror}): choose another {key}") from error
    try:
        yield
    finally:
        lock.release()


def is_complete(settings: TrainConf, overrides: Sequence[str]) -> bool:
    """Whether the run of these settings is finished; nothing is made or held."""
    path = _path(settings, overrides)
    if not (path / RECORD).exists():
        return False
    run = RunFolder(path)
    return run.record.fingerprint == run_fingerprint(settings) and run.is_complete(settings.stage)


def run_name(overrides: Sequence[str]) -> str:
    """The overrides that matter to the results, without the characters that a shell or Hydra would read as syntax."""
    kept = [o for o in overrides if re.split(r"[.=@]", o.lstrip("+~"), maxsplit=1)[0] not in PLACES]
    name = "+".join(o.lstrip("+~") for o in kept if not o.startswith("experiment="))
    return re.sub(r"[^\w.+-]", "", name.replace("/", ".").replace("=", "_").replace(",", "_"))[:80] or "default"


@contextmanager
def _held_for(settings: TrainConf, overrides: Sequence[str]) -> Iterator[Path]:
    path = _path(settings, overrides)
    try:
        _check_free(path, settings)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write run_dir {path} ({error.strerror}): choose another run_dir") from error
    with held(path, "run_dir", settings.wait):
        _check_free(path, settings)  # again: another process may have begun meanwhile
        if not (path / RECORD).exists():
            text = yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True)
            (path / CONFIG).write_text(text, encoding="utf-8")
            Record(run_fingerprint(settings), secrets.token_hex(4)).write(path)
        yield path


def _path(settings: TrainConf, overrides: Sequence[str]) -> Path:
    """`run_dir`, or `outputs/<name>/<overrides>-<fingerprint>`: one folder for the same settings in any spelling."""
    if settings.run_dir is not None:
        return Path(settings.run_dir)
    parent, name = OUTPUTS / settings.name, run_fingerprint(settings)
    found = sorted(parent.glob(f"*-{name}"))
    return found[0] if found else parent / f"{run_name(overrides)}-{name}"


def _check_free(path: Path, settings: TrainConf) -> None:
    """Raises a `UserError` if a folder holds anything but this run."""
    if not path.exists() or (path.is_dir() and {p.name for p in path.iterdir()} <= BEGUN):
        return
    if not path.is_dir():
        raise UserError(f"run_dir {path} is a file: choose a folder")
    if not (path / RECORD).exists():
        raise UserError(f"run_dir {path} is not empty and holds no run: choose another folder, so that nothing is lost")
    run = RunFolder(path)
    if run.record.fingerprint != run_fingerprint(settings):
        raise UserError(
            f"run_dir {path} holds a different run ({_differences(run.settings(), settings)}): choose another run_dir, "
            "or leave it out"
        )


def _differences(recorded: TrainConf, settings: TrainConf) -> str:
    there, here = flatten(identity(recorded)), flatten(identity(settings))
    different = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    named = [f"{key} is {there.get(key)} there and {here.get(key)} here" for key in different[:3]]
    return "; ".join(named) + ("; and more" if len(different) > 3 else "")
