"""The folder of a run: what is finished in it, and where its files lie."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import yaml

from maskgit_lab import ranks
from maskgit_lab.code import Code
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256, fingerprint
from maskgit_lab.paths import text_of
from maskgit_lab.runs.codes import Codes
from maskgit_lab.runs.names import CHECKPOINTS, CKPT, CONFIG, LAST
from maskgit_lab.runs.record import CACHE, RUN, DataRecord, Record
from maskgit_lab.runs.results import RESULTS, Results
from maskgit_lab.settings import MODELS, TrainConf, checked, of_today

# What is done in a run of each stage, one after the other.
PARTS = {
    "tokenizer": ("tokenizer", "reconstruction"),
    "tokens": ("tokenizer", "tokens"),
    **dict.fromkeys(MODELS.values(), ("tokenizer", "tokens", "transformer")),
    "all": ("tokenizer", "tokens", "transformer", "reconstruction", "pictures"),
}
MEASURED = ("tokenizer", "all")  # the stages that measure
PICTURES = {"reconstructions", "samples", "filling"}
CURVE = "curve"  # a further one, of a model that decodes in T steps


RESTORE = "put the run's own back, or give the train.py command that made the run, which writes it again"


def is_checkpoint(path: Path) -> bool:
    """Whether a path names a checkpoint of a run, and not its folder."""
    return path.suffix == CKPT and path.parent.name == CHECKPOINTS


class RunFolder:
    """A run on the disk: `config.yaml`, `run.json` (what is done), `checkpoints/`, `results.jsonl`, `pictures/`.

    Args:
        path: the folder; or one of its checkpoints, which then takes the place of the last.
        cache: the folder of what runs share; None: where it lay from the run when the run was last trained.

    Raises:
        UserError: there is none, or its record is damaged.
    """

    def __init__(self, path: Path, cache: Path | str | None = None) -> None:
        if is_checkpoint(path) and not path.exists():
            raise UserError(f"there is no checkpoint {path}: name an existing one, or the folder of its run")
        if path.suffix == CKPT and not is_checkpoint(path):
            raise UserError(
                f"{path} is not a checkpoint in the folder of its run: give that folder, or "
                f"RUN_DIR/{CHECKPOINTS}/NAME{CKPT}"
            )
        self._weights = path.name if is_checkpoint(path) else LAST
        self.path = path.parent.parent if is_checkpoint(path) else path
        self.record = Record.read(self.path)
        self.cache = Path(cache) if cache is not None else self._own_cache()

    def _own_cache(self) -> Path:
        """From the path that the run was named by, or from where it really lies."""
        places = [
            Path(os.path.normpath(place / self.record.cache)) for place in (self.path.absolute(), self.path.resolve())
        ]
        return next((place for place in places if place.is_dir()), places[0])

    @property
    def checkpoints(self) -> Path:
        """Where the transformer's checkpoints lie."""
        return self.path / CHECKPOINTS

    @property
    def checkpoint(self) -> Path:
        """The transformer's last checkpoint, or the one that was named."""
        return self.checkpoints / self._weights

    @property
    def named_checkpoint(self) -> str | None:
        """The name of the checkpoint in use where it is not the last."""
        return None if self.checkpoint.name == LAST else self.checkpoint.stem

    @property
    def results(self) -> Results:
        """The points evaluated."""
        return Results(self.path / RESULTS)

    @property
    def codes(self) -> Codes:
        """The code that trained and measured."""
        return Codes(self.path)

    @property
    def data(self) -> DataRecord:
        """What the run recorded of its data.

        Raises:
            UserError: nothing, since it has not begun.
        """
        if self.record.data is None:
            raise UserError(f"the run in {self.path} has no data yet: {self.again}")
        return self.record.data

    @property
    def again(self) -> str:
        """How to go on with the run, as the end of a sentence."""
        places = [f"run_dir={self.path}", f"cache_dir={self.cache}"]
        return f"give `python train.py {shlex.join([*self.record.command, *places])}`"

    @property
    def remedy(self) -> str:
        """How to replace a damaged folder of its cache, as the end of a sentence that names the folder."""
        return f"delete that folder and {self.again} to make it again"

    def picture(self, name: str) -> Path:
        """Path of a picture, in a folder that exists."""
        (self.path / "pictures").mkdir(exist_ok=True)
        return self.path / "pictures" / f"{name}.png"

    def pictures(self) -> dict[str, Path]:
        """The pictures that are there, by name."""
        return {path.stem: path for path in sorted((self.path / "pictures").glob("*.png"))}

    def place(self, recorded: str) -> Path:
        """Where a path of the record lies now."""
        if recorded.startswith(RUN):
            return self.path / recorded.removeprefix(RUN)
        return self.cache / recorded.removeprefix(CACHE)

    def recorded(self, path: Path) -> str:
        """A path as the record keeps it: relative to the cache, or else to the run."""
        place, cache = path.resolve(), self.cache.resolve()
        if place.is_relative_to(cache):
            return f"{CACHE}{place.relative_to(cache).as_posix()}"
        return f"{RUN}{Path(os.path.relpath(place, self.path.resolve())).as_posix()}"

    def is_done(self, part: str) -> bool:
        """Whether a part of the run was finished, and what it left is still there."""
        record = self.record
        if getattr(record, part) is None:
            return False
        if part == "tokenizer":
            return record.tokenizer is not None and self.place(record.tokenizer.path).is_file()
        if part == "transformer":
            return self.checkpoint.exists()
        wanted = PICTURES | ({CURVE} if record.mvtm is not None else set())
        return part != "pictures" or self.pictures().keys() >= wanted

    def is_measured(self, stage: str, asked: str, code: Code) -> bool:
        """Whether all that a command asks for is trained and measured.

        Args:
            stage: of the command.
            asked: what it asks to be measured.
            code: that measures.
        """
        if not all(self.is_done(part) for part in PARTS[stage]):
            return False
        if stage not in MEASURED:
            return True
        points = self.record.measured.get(asked)
        return points is not None and self.results.of(fingerprint(code), self.record.code).keys() >= set(points)

    def is_complete(self, stage: str, asked: str, code: Code) -> bool:
        """Whether the pictures are of what a command asks for, too: they show what was measured last."""
        is_drawn = stage != "all" or self.record.pictures == f"{asked} {fingerprint(code)}"
        return is_drawn and self.is_measured(stage, asked, code)

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
        if path.is_file() and file_sha256(path) != self.record.config:
            raise UserError(f"{path} was changed after the run was made (its checksum differs): {RESTORE}")
        return settings_in(path)


def settings_in(path: Path) -> TrainConf:
    """The settings that a `config.yaml` holds.

    Raises:
        UserError: it is missing or damaged, or holds what is not allowed here.
    """
    try:
        return checked(TrainConf, of_today(yaml.safe_load(text_of(path))))
    except UserError as error:
        raise UserError(f"the settings in {path} cannot be used here: {error}") from error
    except (yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is missing or damaged: {RESTORE}") from error
