"""The choice temperature that was chosen for a run: the files that say so, and the runs that they hold for."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from maskgit_lab.ablation.curves import curve
from maskgit_lab.ablation.points import Point
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.temperature import TEMPERATURE, Spot, best_spot, spots
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.metrics.registry import TABLE
from maskgit_lab.objects import TARGET
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import RECORD
from maskgit_lab.runs.names import TEMPERATURE as FOLDER
from maskgit_lab.runs.naming import data_name
from maskgit_lab.runs.results import Row
from maskgit_lab.settings import TrainConf, training

CHOSEN = "chosen"  # as the value of decode.choice_temperature
COMMAND = "python evaluate.py sweeps=choose_temperature checkpoint=RUN_DIR"
MARK = f"# Command: {COMMAND}"  # how a file of a choice begins
MASKGIT, OWN = "maskgit_lab.decoding.parallel.MaskGIT", ("steps", TEMPERATURE)
DEFAULTS = {"schedule": None, "guidance": 0.0}  # of conf/decode/maskgit.yaml
CHOICE = "# Chosen: "  # before the sentence on the choice, which goes on in the lines that are indented
INDENT, WIDTH = "#   ", 120
CLOSE = 1.05  # times the lowest distance: temperatures below lie close
COLUMNS = ("temperature", "steps", "distance", "repeats")  # of the curve


@dataclass(frozen=True)
class Choice:
    """A temperature that was chosen, and what it was chosen by."""

    spots: Sequence[Spot]  # the best T of each temperature, ascending
    rows: Sequence[Row]  # of all temperatures and T, of one model
    decode: Mapping[str, Any]  # the settings of the group `decode` that they share

    @classmethod
    def of(cls, rows: Sequence[Row], decode: Mapping[str, Any]) -> Choice:
        """The best of the temperatures that rows were measured at."""
        metric = TABLE["fid"].on(str(rows[0]["features"]))
        return cls(spots(_points(rows), metric), rows, decode)

    @property
    def best(self) -> Spot:
        return best_spot(self.spots)

    @property
    def distance(self) -> str:
        """The key of the distance."""
        return TABLE["fid"].key_on(str(self.rows[0]["features"]))

    @property
    def steps(self) -> list[int]:
        """Every T, ascending."""
        return sorted({int(row["steps"]) for row in self.rows})

    @property
    def sentence(self) -> str:
        """What was chosen, by how much, and whether a better one may lie beyond what was measured."""
        best = self.best
        second = best_spot([spot for spot in self.spots if spot is not best])
        close = sum(spot.distance <= CLOSE * best.distance for spot in self.spots)
        text = (
            f"{best.value:g}, with {self.distance} {best.distance:.4g} at T = {best.steps}; next is {second.value:g} "
            f"with {second.distance:.4g} at T = {second.steps}; {close} of {len(self.spots)} temperatures are within "
            f"{CLOSE - 1:.0%} of the lowest"
        )
        if best.value in (self.spots[0].value, self.spots[-1].value):
            text += "; it is at the edge of the temperatures that were measured"
        return text + ("; its best T is at the edge of those that were measured" if best.is_at_edge else "")

    @property
    def curve(self) -> list[tuple[float, int, float, int]]:
        """Temperature, T, mean distance and number of repeats."""
        metric = TABLE["fid"].on(str(self.rows[0]["features"]))
        found = []
        for spot in self.spots:
            rows = [row for row in self.rows if row[TEMPERATURE] == spot.value]
            one = curve(_points(rows), metric)
            assert one is not None
            for x, mean in zip(one.x, one.mean_X, strict=True):
                found.append((spot.value, int(x), float(mean), sum(row["steps"] == x for row in rows)))
        return found

    def write(self, path: Path) -> None:
        """Writes the choice as an option of the group `decode`, and its curve beside it.

        Args:
            path: of the option, `<data>.yaml`; the curve becomes `<data>_temperature.csv`.

        Raises:
            OSError: they cannot be written.
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerows([COLUMNS, *self.curve])
        curve_path(path).write_text(text.getvalue(), encoding="utf-8")
        path.write_text(self._option(curve_path(path).name), encoding="utf-8")

    def _option(self, curve_name: str) -> str:
        """As YAML, with what it was chosen by in its header."""
        row, repeats = self.rows[0], sorted({n for *_, n in self.curve})
        own = {key: value for key, value in self.decode.items() if key not in OWN and DEFAULTS.get(key, ...) != value}
        if own.get(TARGET) == MASKGIT:
            del own[TARGET]
            beginning = "defaults: [maskgit]\n"
        else:
            own, beginning = {**own, "steps": self.decode.get("steps")}, ""
        comments = (
            MARK,
            f"{CHOICE}{self.sentence}.",
            f"# Rule: the lowest distance over T, of the means over repeats, all of which are in {curve_name}.",
            f"# Measured: model {row['model']} ({row['schedule']} schedule), {row['n_samples']} samples a point, "
            f"T = {', '.join(map(str, self.steps))}, repeats {'/'.join(map(str, repeats))}, seed {row['seed']} of a "
            "stream that no reported point draws from.",
        )
        lines = [line for text in comments for line in textwrap.wrap(text, WIDTH, subsequent_indent=INDENT)]
        settings = str(yaml.safe_dump({**own, TEMPERATURE: self.best.value}, sort_keys=False))
        return "\n".join([*lines, beginning]) + settings


def _points(rows: Iterable[Row]) -> list[Point]:
    """Of one model, whose training is the same for all of them."""
    return [Point(row, "", Seeds(int(row["seed"])), ()) for row in rows]


def curve_path(path: Path) -> Path:
    """The file of the curve beside the file of a choice."""
    return path.with_name(f"{path.stem}_temperature.csv")


def sentence_in(path: Path) -> str:
    """The sentence on the choice in a file of one."""
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    first = next((line for line in lines if line.startswith(CHOICE)), CHOICE)
    rest = takewhile(lambda line: line.startswith(INDENT), lines)
    return " ".join([first.removeprefix(CHOICE), *(line.removeprefix(INDENT) for line in rest)])


def choice_path(folder: RunFolder) -> Path:
    """The file of the choice in a run."""
    return folder.path / FOLDER / f"{data_name(folder.settings().data or {})}.yaml"


def resolved(decode: Mapping[str, Any], folder: RunFolder | None) -> dict[str, Any]:
    """Settings of the group `decode` with a number in place of `choice_temperature=chosen`.

    Raises:
        UserError: none was chosen for the run, or it is not a run.
    """
    if decode.get(TEMPERATURE) != CHOSEN:
        return dict(decode)
    if folder is None:
        raise UserError(f"decode.{TEMPERATURE}={CHOSEN} needs a run that one was chosen for: give a number instead")
    return {**decode, TEMPERATURE: chosen_for(folder)}


def chosen_for(folder: RunFolder) -> float:
    """The temperature chosen on a run, or on one beside it that differs from it in nothing but its seeds.

    Raises:
        UserError: there is none.
    """
    beside = sorted(folder.path.resolve().parent.glob(f"*/{FOLDER}"))
    others = [RunFolder(place.parent) for place in beside if (place.parent / RECORD).is_file()]
    alike = without_seeds(folder.settings())
    same = [other for other in others if without_seeds(other.settings()) == alike]
    for one in [folder, *sorted(same, key=lambda other: other.settings().seed)]:
        if (path := choice_path(one)).is_file():
            return read_choice(path)
    schedule = str((folder.settings().schedule or {}).get(TARGET, "")).rpartition(".")[2]
    raise UserError(
        f"no choice temperature was chosen for {folder.path} ({schedule}), nor for a run next to it that differs only "
        f"in its seeds: run `{COMMAND.replace('RUN_DIR', str(folder.path))}` first"
    )


def without_seeds(settings: TrainConf) -> str:
    """The same for runs that differ in nothing but the seeds of their trainings."""
    values = training(settings)
    tokenizer = {key: value for key, value in values["tokenizer"].items() if key != "seed"}
    return fingerprint({**values, "seed": None, "tokenizer": tokenizer})


def read_choice(path: Path) -> float:
    """The temperature in a file of a choice.

    Raises:
        UserError: it is damaged.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))[TEMPERATURE]
        return float(value)
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise UserError(f"{path} is damaged: remove it, and choose the temperature again") from error
