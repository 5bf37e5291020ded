"""`run.json`: what is finished in a run, and what is worth knowing of it."""

from __future__ import annotations

import json
from dataclasses import asdict, field
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import checksum
from maskgit_lab.runs.names import RECORD

STRICT = ConfigDict(extra="forbid")


class Damaged(UserError):
    """A record that cannot be read, or is not as it was written."""


@dataclass(config=STRICT)
class DataRecord:
    """The images that a run is trained on."""

    name: str
    size: int  # pixels
    class_names: list[str]
    fingerprint: str

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


# Paths are relative: `cache:tokenizer/0123456789ab` to the cache, `run:../codes` to the run.
@dataclass(config=STRICT)
class TokenizerRecord:
    """The tokenizer's file, its SHA-256, and the scores of its training."""

    path: str
    weights: str
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(config=STRICT)
class TokensRecord:
    """The token cache, and a checksum of all its files."""

    path: str
    digest: str


@dataclass(config=STRICT)
class ClassifierRecord:
    """A classifier of real images, and its accuracy on held-out ones."""

    path: str
    top1: float
    top5: float


@dataclass(config=STRICT)
class Record:
    """A run's own account of itself; a part that is not finished is None."""

    fingerprint: str  # of what it trains; see `settings.training`
    config: str  # the SHA-256 of config.yaml
    command: list[str]  # the overrides of train.py that made it, without its places
    code: str  # a fingerprint of the code that it is taken to be trained by, which code.json resolves
    cache: str  # the folder of the cache, relative to the run
    wandb_id: str  # of its run in W&B
    trained_by: str = ""  # the code that did train it, where reuse=true took its checkpoint as it is; "": code
    accepted: list[str] = field(default_factory=list)  # code that reuse=true has taken for the code of the training
    begun_with: str | None = None  # the SHA-256 of the transformer's file that its training began with
    data: DataRecord | None = None
    tokenizer: TokenizerRecord | None = None
    tokens: TokensRecord | None = None
    mvtm: dict[str, float] | None = None  # the scores of the training, of model=maskgit
    autoregressive: dict[str, float] | None = None  # the same, of model=autoregressive
    sizes: dict[str, int] | None = None  # the tokens of an image, and the parameters of transformer and tokenizer
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
        """The record of a run.

        Raises:
            UserError: there is none, it is `Damaged`, or another version of this suite wrote it.
        """
        path = folder / RECORD
        if not path.exists():
            raise UserError(f"{folder} holds no run: name the folder of a run, such as the one that train.py printed")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(values, dict) and "fingerprint" in values and "code" not in values:
                raise UserError(
                    f"{folder} was made by an earlier version of maskgit_lab: report.py reads its results, but it "
                    "cannot be continued or sampled; choose another run_dir"
                )
            if values.pop("checksum", own := checksum(values)) != own:
                raise ValueError("its checksum differs")
            return TypeAdapter(cls).validate_json(json.dumps(values), strict=True)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise Damaged(f"{path} is damaged: put a copy of it back, or choose another run_dir") from error

    def write(self, folder: Path) -> None:
        """Writes the record, whole or not at all, with a checksum."""
        values, temporary = asdict(self), folder / f"{RECORD}.tmp"
        values["checksum"] = checksum(values)
        temporary.write_text(json.dumps(values, indent=1), encoding="utf-8")
        temporary.replace(folder / RECORD)
