"""`run.json`: what is finished in a run, and what is worth knowing of it.

The record before the last change stays beside it, in `run.previous.json`, and takes its place where it is damaged: what
was finished in between is found again, since a training goes on from its checkpoint and rows are rows.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import checksum
from maskgit_lab.paths import text_of
from maskgit_lab.runs.names import BEFORE, DAMAGED, RECORD

STRICT = ConfigDict(extra="forbid")
CACHE, RUN = "cache:", "run:"  # before a path in the record
LARGEST = 8192  # pixels of an image's side


class Damaged(UserError):
    """A record that cannot be read, or is not as it was written."""


def _name(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("no name of a file")
    return text


def _place(text: str) -> str:
    """A path in the cache, or one from the run, which may lead out of it, as to a token cache of a user's own."""
    kind = next((kind for kind in (CACHE, RUN) if text.startswith(kind)), None)
    path = PurePosixPath(_name(text).removeprefix(kind or ""))
    if kind is None or path.is_absolute() or not path.parts or (kind == CACHE and ".." in path.parts):
        raise ValueError("no path in the cache or from the run")
    return text


Name = Annotated[str, AfterValidator(_name)]
Place = Annotated[str, AfterValidator(_place)]
Count = Annotated[int, Field(ge=0)]


@dataclass(config=STRICT)
class DataRecord:
    """The images that a run is trained on."""

    name: str
    size: Annotated[int, Field(ge=1, le=LARGEST)]  # pixels
    class_names: Annotated[list[str], Field(min_length=1)]
    fingerprint: Name

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


# Paths are relative: `cache:tokenizer/0123456789ab` to the cache, `run:../codes` to the run.
@dataclass(config=STRICT)
class TokenizerRecord:
    """The tokenizer's file, its SHA-256, and the scores of its training."""

    path: Place
    weights: Name
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(config=STRICT)
class TokensRecord:
    """The token cache, and a checksum of all its files."""

    path: Place
    digest: Name


@dataclass(config=STRICT)
class ClassifierRecord:
    """A classifier of real images, and its accuracy on held-out ones."""

    path: Place
    top1: float
    top5: float


@dataclass(config=STRICT)
class Record:
    """A run's own account of itself; a part that is not finished is None."""

    fingerprint: str  # of what it trains; see `settings.training`
    config: str  # the SHA-256 of config.yaml
    command: list[str]  # the overrides of train.py that made it, without its places
    code: str  # a fingerprint of the code that it is taken to be trained by, which code.json resolves
    cache: Name  # the folder of the cache, relative to the run
    wandb_id: Annotated[str, Field(pattern=r"^[\w-]+$")]  # of its run in W&B
    trained_by: str = ""  # the code that did train it, where reuse=true took its checkpoint as it is; "": code
    accepted: list[str] = field(default_factory=list)  # code that reuse=true has taken for the code of the training
    begun_with: str | None = None  # the SHA-256 of the transformer's file that its training began with
    data: DataRecord | None = None
    tokenizer: TokenizerRecord | None = None
    tokens: TokensRecord | None = None
    mvtm: dict[str, float] | None = None  # the scores of the training, of model=maskgit
    autoregressive: dict[str, float] | None = None  # the same, of model=autoregressive
    sizes: dict[str, Count] | None = None  # the tokens of an image, and the parameters of transformer and tokenizer
    # The numbers of parts, one after the other, that its batches were trained in, where the weights depend on them.
    dropout_parts: list[Count] = field(default_factory=list)
    classifier: ClassifierRecord | None = None
    reconstruction: dict[str, float] | None = None
    # The identities of the points that were measured, by what a command asked for.
    measured: dict[str, list[str]] = field(default_factory=dict)
    pictures: str | None = None  # what the command that drew them asked for, and the code that measured it
    used: list[str] = field(default_factory=list)  # entries of the cache, each as `kind/fingerprint`

    @property
    def transformer(self) -> dict[str, float] | None:
        """The scores of the transformer's training, of whichever model."""
        return self.mvtm if self.mvtm is not None else self.autoregressive

    def knows(self, code: str) -> bool:
        """Whether some code, by its fingerprint, trained the run or was taken for the code that did."""
        return code in (self.code, self.trained_by, *self.accepted)

    @classmethod
    def read(cls, folder: Path) -> Record:
        """The record of a run; where it is damaged, the one before it.

        Raises:
            UserError: there is none, both are `Damaged`, or another version of this suite wrote it.
        """
        if not holds_run(folder):
            such = "the folder of a run, such as the one that train.py printed"
            raise UserError(f"{folder} contains no run: name {folder.parent if holds_run(folder.parent) else such}")
        try:
            return parsed(folder / RECORD)
        except Damaged as fault:
            try:
                before = parsed(folder / BEFORE)
            except Damaged:
                raise fault from None
            _say_once(folder)
            return before

    def write(self, folder: Path) -> None:
        """Writes the record, whole or not at all, with a checksum, and keeps the one before it."""
        values, path = asdict(self), folder / RECORD
        values["checksum"] = checksum(values)
        text = json.dumps(values, indent=1)
        if path.exists():
            if path.read_bytes() == text.encode():
                return
            _set_aside(path)
        _replace(path, text)


def parsed(path: Path) -> Record:
    """The record of a file.

    Raises:
        UserError: it is `Damaged`, or another version of this suite wrote it.
    """
    try:
        values = json.loads(text_of(path))
        if isinstance(values, dict) and "fingerprint" in values and "code" not in values:
            raise UserError(
                f"{path.parent} was made by an earlier version of maskgit_lab: report.py reads its results, but it "
                "cannot be continued or sampled; choose another run_dir"
            )
        if values.pop("checksum", None) != checksum(values):
            raise ValueError("its checksum differs")
        return TypeAdapter(Record).validate_json(json.dumps(values), strict=True)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(
            f"{path} is damaged: give the train.py command that made the run, with run_dir={path.parent}, which makes "
            "it again from what is there and trains nothing twice"
        ) from error


def holds_run(folder: Path) -> bool:
    """Whether there is a record in a folder, in whatever state."""
    return (folder / RECORD).exists() or (folder / BEFORE).exists()


def _set_aside(path: Path) -> None:
    """Keeps a record that is about to be written: a valid one as the one before, a damaged one under its own name."""
    try:
        parsed(path)
    except UserError:
        path.replace(path.with_name(DAMAGED))
    else:
        _replace(path.with_name(BEFORE), path.read_text(encoding="utf-8"))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@cache
def _say_once(folder: Path) -> None:
    if ranks.is_main():
        note = f"{folder / RECORD} is damaged: {BEFORE}, the one before it, takes its place, and nothing is lost"
        Terminal().note("run", note)
