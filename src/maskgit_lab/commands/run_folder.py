"""The folder of a run: whose it is, what is done in it, and where its files lie."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from maskgit_lab import config, ranks
from maskgit_lab.ablation.results import RESULTS, Results, identity
from maskgit_lab.ablation.runs import CONFIG, RECORD
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.lit.checkpoints import LAST
from maskgit_lab.schema.verbs import TrainConf
from maskgit_lab.settings import flatten

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
    """A run on the disk: `config.yaml`, `run.json` (what is done), `checkpoints/`, `results.jsonl`, `pictures/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: dict[str, Any] = json.loads((path / RECORD).read_text(encoding="utf-8"))

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

    def picture(self, name: str) -> Path:
        """Path of a picture, in a folder that exists."""
        (self.path / "pictures").mkdir(exist_ok=True)
        return self.path / "pictures" / f"{name}.png"

    def pictures(self) -> dict[str, Path]:
        """The pictures that are there, by name."""
        return {path.stem: path for path in sorted((self.path / "pictures").glob("*.png"))}

    def is_complete(self, stage: str) -> bool:
        """Whether all of a stage is done."""
        return self.is_done(PARTS[stage])

    def is_done(self, parts: Sequence[str]) -> bool:
        """Whether all of these parts of the run were finished, and what they left is still there."""
        return all(part in self.record["done"] and self._is_there(part, self.record["done"][part]) for part in parts)

    def _is_there(self, part: str, about: Mapping[str, Any]) -> bool:
        if part == "tokenizer":
            return Path(about["path"]).is_file()
        if part == "mvtm":
            return self.checkpoint.exists()
        if part == "evaluation":
            return {identity(row) for row in self.results.rows()} >= set(about.get("points", [None]))
        return part != "pictures" or self.pictures().keys() >= PICTURES

    def mark_done(self, part: str, **about: Any) -> None:
        """Records that a part is finished, with what is worth knowing of it."""
        self.record["done"][part] = about
        if ranks.is_main():
            _write_record(self.path, self.record)


@contextmanager
def open_run(cfg: DictConfig, overrides: Sequence[str]) -> Iterator[RunFolder]:
    """The run's folder, made if it is absent, and held by this process and those that it works with alone.

    Raises:
        UserError: it cannot be written, holds something else, or is in use.
    """
    if not ranks.is_main():
        yield RunFolder(ranks.share(Path()))
        return
    with _held(cfg, overrides) as path:
        yield RunFolder(ranks.share(path))


@contextmanager
def _held(cfg: DictConfig, overrides: Sequence[str]) -> Iterator[Path]:
    path = _path(cfg, overrides)
    name = config.run_fingerprint(cfg)
    try:
        check_free(path, cfg, name)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write run_dir {path} ({error.strerror}): choose another run_dir") from error
    with held(path, "run_dir", cfg.wait):
        check_free(path, cfg, name)  # again: another process may have begun meanwhile
        if not (path / RECORD).exists():
            OmegaConf.save(cfg, path / CONFIG, resolve=True)
            _write_record(path, {"fingerprint": name, "wandb_id": secrets.token_hex(4), "done": {}})
        yield path


@contextmanager
def held(path: Path, key: str, wait: bool) -> Iterator[None]:
    """Keeps other commands out of a folder.

    Args:
        path: the folder, which is there.
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


def is_complete(cfg: DictConfig, overrides: Sequence[str]) -> bool:
    """Whether the run of a config is finished, and where it would be looked for; nothing is made or held."""
    path = _path(cfg, overrides)
    if not (path / RECORD).exists():
        return False
    run = read_run(path)
    return bool(run.record["fingerprint"] == config.run_fingerprint(cfg)) and run.is_complete(cfg.stage)


def _path(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    return Path(cfg.run_dir) if cfg.run_dir else default_path(cfg, overrides)


def default_path(cfg: DictConfig, overrides: Sequence[str]) -> Path:
    """`outputs/<experiment>/<overrides>-<fingerprint>`: one folder for the same settings, however they were said."""
    parent, name = OUTPUTS / cfg.name, config.run_fingerprint(cfg)
    found = sorted(parent.glob(f"*-{name}"))
    return found[0] if found else parent / f"{run_name(overrides)}-{name}"


def run_name(overrides: Sequence[str]) -> str:
    """The overrides that matter to the results, without the characters that a shell or Hydra would read as syntax."""
    told = [o for o in overrides if re.split(r"[.=@]", o.lstrip("+~"), maxsplit=1)[0] not in config.PLACE_KEYS]
    name = "+".join(o.lstrip("+~") for o in told if not o.startswith("experiment="))
    return re.sub(r"[^\w.+-]", "", name.replace("/", ".").replace("=", "_").replace(",", "_"))[:80] or "default"


def check_free(path: Path, cfg: DictConfig, name: str) -> None:
    """Raises a `UserError` if a folder holds anything but this run."""
    if not path.exists() or (path.is_dir() and {p.name for p in path.iterdir()} <= BEGUN):
        return
    if not path.is_dir():
        raise UserError(f"run_dir {path} is a file: choose a folder")
    if not (path / RECORD).exists():
        raise UserError(f"run_dir {path} is not empty and holds no run: choose another folder, so that nothing is lost")
    if read_run(path).record["fingerprint"] != name:
        differences = _differences(path, cfg)
        raise UserError(
            f"run_dir {path} holds a different run ({differences}): choose another run_dir, or leave it out"
        )


def read_run(path: Path) -> RunFolder:
    """An existing run, for reading.

    Raises:
        UserError: there is none, or its record is damaged.
    """
    if not (path / RECORD).exists():
        raise UserError(f"{path} holds no run: name the folder of a run, such as the one that train.py printed")
    try:
        run = RunFolder(path)
        parts = run.record["done"]
        if not all(isinstance(about, dict) for about in parts.values()) or not isinstance(run.record["wandb_id"], str):
            raise TypeError("values of another kind")
        if "tokenizer" in parts and not isinstance(parts["tokenizer"]["path"], str):
            raise TypeError("a path of another kind")
        return run
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path / RECORD} is damaged: choose another run_dir, or delete that folder") from error


def _differences(path: Path, cfg: DictConfig) -> str:
    there = flatten(config.settings(read_config(path)))
    here = flatten(config.settings(cfg))
    different = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    said = [f"{key} is {there.get(key)} there and {here.get(key)} here" for key in different[:3]]
    return "; ".join(said) + ("; and more" if len(different) > 3 else "")


def read_config(path: Path) -> DictConfig:
    """The resolved config of a run.

    Raises:
        UserError: it is absent, damaged, or not the one that the run was made with.
    """
    try:
        loaded = config.checked(OmegaConf.load(path / CONFIG), TrainConf)  # type: ignore[arg-type]
        name = config.run_fingerprint(loaded)
    except Exception as error:  # YAML and OmegaConf raise many kinds
        raise UserError(f"{path / CONFIG} is missing or damaged: name a run with its config") from error
    if name != read_run(path).record["fingerprint"]:
        raise UserError(f"{path / CONFIG} was changed after the run was made: put its own back")
    return loaded


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    temporary = path / f"{RECORD}.tmp"
    temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    temporary.replace(path / RECORD)
