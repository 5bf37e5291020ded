"""Which folder a run lives in, who works in it, and whether today's code made what it holds."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import yaml

from maskgit_lab import ranks
from maskgit_lab.code import Code
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256, fingerprint, flatten
from maskgit_lab.nets.checkpoints import IDENTITY_KEY, read_checkpoint
from maskgit_lab.runs.codes import Codes, Stale, check_choice
from maskgit_lab.runs.folder import RunFolder, settings_in
from maskgit_lab.runs.holder import Holder
from maskgit_lab.runs.lease import Lease, leased
from maskgit_lab.runs.names import CHECKPOINTS, CONFIG, DAMAGED_CONFIG, LAST, PREVIOUS, RECORD
from maskgit_lab.runs.naming import LOCK, find_run, free_name, is_free, numbered, parent_of
from maskgit_lab.runs.record import Damaged, Record, holds_run
from maskgit_lab.settings import TrainConf, plain, run_fingerprint, training

READ_ONLY = "give out=FOLDER, which then takes the results, or make it writable"
PLACED = ("run_dir=", "cache_dir=")  # overrides that do not move with a run


@dataclass(frozen=True)
class Wanted:
    """The run that a command asks for."""

    settings: TrainConf
    overrides: Sequence[str]  # that the settings were composed from
    code: Code  # that would train it


@contextmanager
def opened(wanted: Wanted) -> Iterator[RunFolder]:
    """The run's folder, made if it is absent, and held by this process and those that it works with alone.

    Raises:
        UserError: it cannot be written, holds something else, is in use, or was trained by other code.
    """
    cache = wanted.settings.cache_dir
    if not ranks.is_main():
        yield RunFolder(ranks.share(Path()), cache)
        return
    check_choice(wanted.settings.rerun, wanted.settings.reuse)
    path = _made(wanted)
    with held(path, "run_dir", wanted.settings.wait):
        _check_free(path, wanted.settings)
        _make(path, wanted)
        run = RunFolder(path, cache)
        _settle(run, wanted)
        yield RunFolder(ranks.share(path), cache)


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

    def waiting(holder: Holder) -> None:
        if not wait:
            raise UserError(f"another process is working in {path} ({holder}): wait for it, or choose another {key}")
        Terminal().note("run", f"another process is working in {path} ({holder}); waiting for it")

    lease = Lease(path / LOCK)
    try:
        lease.acquire(waiting)
    except OSError as error:
        advice = READ_ONLY if key == "checkpoint" else f"choose another {key}"
        raise UserError(f"cannot write {key} {path} ({error.strerror}): {advice}") from error
    try:
        yield
    finally:
        lease.release()


def existing(wanted: Wanted) -> RunFolder | None:
    """The folder of the run, if there is one; nothing is made or held.

    Raises:
        Stale: other code trained it, and the settings do not say what to do about that.
    """
    settings = wanted.settings
    if (path := find_run(settings)) is None:
        return None
    try:
        run = RunFolder(path, settings.cache_dir)
    except Damaged:  # which the job makes again
        return None
    if run.record.fingerprint != run_fingerprint(settings):
        return None
    if _is_stale(run, wanted.code) and not settings.rerun and not settings.reuse:
        raise _stale(run, wanted.code)
    return run


def _made(wanted: Wanted) -> Path:
    """The folder of the run, which exists; a name is taken by one run alone."""
    settings = wanted.settings
    parent = parent_of(settings)
    path = Path(settings.run_dir) if settings.run_dir is not None else None
    try:
        if path is not None:
            _check_free(path, settings)
        (path or parent).mkdir(parents=True, exist_ok=True)
        with nullcontext() if path is not None else leased(parent / LOCK, lambda _: None):
            path = path or find_run(settings) or free_name(parent, wanted.overrides)
            path.mkdir(exist_ok=True)
            if settings.run_dir is None:
                _make(path, wanted)
    except OSError as error:
        raise UserError(f"cannot write run_dir {path or parent} ({error.strerror}): choose another run_dir") from error
    return path


def _make(path: Path, wanted: Wanted) -> None:
    """Writes what a run is, unless that is there; where it is damaged, it is written again from what is there."""
    code = Codes(path).add(wanted.code)
    if holds_run(path):
        try:
            _restore_settings(path, Record.read(path), wanted.settings)
            return
        except Damaged:
            _check_settings(path, wanted.settings)
            code = _trained_by(path) or code
            Terminal().note("run", f"{path / RECORD} is damaged: it is made again from what is there")
    else:
        _write_settings(path, wanted.settings)
    Record(
        fingerprint=run_fingerprint(wanted.settings),
        config=file_sha256(path / CONFIG),
        command=[override for override in wanted.overrides if not override.startswith(PLACED)],
        code=code,
        cache=_relative(wanted.settings.cache_dir, path),
        wandb_id=secrets.token_hex(4),
    ).write(path)


def _write_settings(path: Path, settings: TrainConf) -> None:
    text = yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True)
    (path / CONFIG).write_text(text, encoding="utf-8")


def _restore_settings(path: Path, record: Record, settings: TrainConf) -> None:
    """Writes a `config.yaml` again that is missing or was changed, from settings that train the same run."""
    config = path / CONFIG
    if config.is_file() and file_sha256(config) == record.config:
        return
    what = "missing"
    if config.exists() or config.is_symlink():
        config.replace(config.with_name(DAMAGED_CONFIG))
        what = f"not as it was written, and is {DAMAGED_CONFIG} now"
    _write_settings(path, settings)
    record.config = file_sha256(config)
    record.write(path)
    Terminal().note("run", f"{config} was {what}: it is written again")


def _trained_by(path: Path) -> str | None:
    """The code that trained a run, as its checkpoint has it; None without one that can be read."""
    for name in (LAST, PREVIOUS):
        try:
            return str(read_checkpoint(path / CHECKPOINTS / name)[IDENTITY_KEY]["code"])
        except (UserError, KeyError, TypeError):
            continue
    return None


def _relative(cache: str, path: Path) -> str:
    """As it lies from the run, without following links: what is copied may become folders where there were links."""
    return Path(os.path.relpath(Path(cache).absolute(), path.absolute())).as_posix()


def _check_free(path: Path, settings: TrainConf) -> None:
    """Raises a `UserError` if a folder holds anything but this run."""
    if is_free(path):
        return
    if not path.is_dir():
        raise UserError(f"run_dir {path} is a file: choose a folder")
    if not holds_run(path):
        raise UserError(
            f"run_dir {path} is not empty and contains no run: choose another folder, so that nothing is lost"
        )
    try:
        run = RunFolder(path)
    except Damaged:  # it is made again from what is there
        _check_settings(path, settings)
        return
    if run.record.fingerprint != run_fingerprint(settings):
        raise _different(path, run.settings(), settings)


def _check_settings(path: Path, settings: TrainConf) -> None:
    """Raises a `UserError` if a run whose record is damaged has other settings."""
    if run_fingerprint(found := settings_in(path / CONFIG)) != run_fingerprint(settings):
        raise _different(path, found, settings)


def _different(path: Path, found: TrainConf, settings: TrainConf) -> UserError:
    differences = _differences(found, settings) or f"its fingerprint in {RECORD} is another"
    return UserError(f"run_dir {path} holds a different run ({differences}): choose another run_dir, or leave it out")


def _differences(recorded: TrainConf, settings: TrainConf) -> str:
    if recorded.model != settings.model:  # whose settings are all others
        return f"model is {recorded.model} there and {settings.model} here"
    there, here = flatten(training(recorded)), flatten(training(settings))
    there, here = ({key: value for key, value in each.items() if value != {}} for each in (there, here))
    different = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    named = [
        f"{key.replace('flags.', 'trainer.')} is {there.get(key, 'not set')} there and {here.get(key, 'not set')} here"
        for key in different[:3]
    ]
    return "; ".join(named) + ("; and more" if len(different) > 3 else "")


def _is_stale(run: RunFolder, code: Code) -> bool:
    is_trained = run.record.transformer is not None or run.checkpoint.exists()
    return is_trained and not run.record.knows(fingerprint(code))


def _stale(run: RunFolder, code: Code) -> Stale:
    files = run.codes.changes(run.record.code, code)
    return Stale(f"the run in {run.path} was trained", files, "train it again")


def _settle(run: RunFolder, wanted: Wanted) -> None:
    """Makes a run that other code began one of today's code, as the settings say.

    Raises:
        UserError: they do not say it.
    """
    record, now = run.record, run.codes.add(wanted.code)
    record.cache = _relative(wanted.settings.cache_dir, run.path)
    trainer = record.trained_by or record.code
    if _is_stale(run, wanted.code):
        if wanted.settings.reuse:
            record.accepted = [*record.accepted, now]
        elif wanted.settings.rerun:
            _set_aside(run)
            trainer = now
        else:
            raise _stale(run, wanted.code)
    elif now not in (trainer, *record.accepted):  # nothing is trained: what it found in the cache is looked for again
        record.tokenizer = record.tokens = None
        trainer = now
    record.code, record.trained_by = now, "" if trainer == now else trainer
    run.save()


def _set_aside(run: RunFolder) -> None:
    """Keeps the checkpoint of other code beside the one that is to come."""
    record = run.record
    if run.checkpoints.exists():
        aside = run.path / f"{CHECKPOINTS}-{record.trained_by or record.code}"
        run.checkpoints.rename(next(path for path in numbered(aside) if not path.exists()))
    record.tokenizer = record.tokens = record.classifier = record.reconstruction = record.pictures = None
    record.mvtm = record.autoregressive = record.sizes = None
    record.trained_by, record.accepted, record.measured, record.wandb_id = "", [], {}, secrets.token_hex(4)
