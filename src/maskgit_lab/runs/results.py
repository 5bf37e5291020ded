"""The results of a run: one flat JSON object a line for each point evaluated, in `results.jsonl`."""

from __future__ import annotations

import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import checksum, fingerprint
from maskgit_lab.metrics import registry
from maskgit_lab.paths import text_of

Row = Mapping[str, Any]

RESULTS = "results.jsonl"
GRIDS = "grids"
VERSION = "version_"  # before the name of a package
# The setting `source` of rows of images that no model made, and what the tables call them.
HELD_OUT, RECONSTRUCTIONS, PASTED = "held_out", "reconstructions", "pasted"
FLOORS = {HELD_OUT: "held-out", RECONSTRUCTIONS: "reconstructions", PASTED: "pasted"}
SAW_REFERENCE = "features_saw_reference"  # true where the extractor was trained on the images of the reference
SAW_REFERENCE_NOTE = (
    "The extractor was trained on the images of the reference and can tell them from all others: this adds to every "
    "distance, including that of held-out images"
)
TIMED_ON = "timed_on"  # in a row, where decoding was timed: the device, and how many images at once
REPEAT = "repeat"  # of samples that are drawn again with the settings of a row that has no such key: 1, 2, ...
NOT_OF_A_REPEAT = (REPEAT, "metrics", "cas_classifier")  # repeats differ in these, since CAS is of the first alone
PURPOSE = "purpose"  # of samples that are drawn for something else than to be reported
SAMPLES = "eval"  # what loggers call points of samples
TASK, HOLE = "task", "hole"  # in a row of edits: what is edited, and where
# How images were edited, in a row of edits.
OF_EDITS = (TASK, HOLE, "hide", "grow", "blend", "seam", "variants", "use_labels")
STAND_IN_NOTE = (
    "Distances of features, between edited and original images and between variants, stand in for LPIPS; they compare "
    "with others of the same extractor alone"
)
DROPOUT_PARTS = "dropout_parts"
STANDARD_SAMPLES = 50_000  # of the paper, of ADM, and of nearly all that is published
# The settings of a row whatever the decoder; all other settings in a row are the decoder's own.
SETTINGS = (
    *("source", "tokenizer", "samples", "samples_fingerprint", "model", "labels", "data"),
    *("schedule", "order", "decoder", "decode_schedule", "steps"),
    *("seed", "n_samples", "features", "features_weights", "precision_features", "precision_weights", "reference"),
    *("reference_fingerprint", "reference_features", "splits", "neighbours", "kid_subsets", "kid_subset_size"),
    *(SAW_REFERENCE, "nll_draws", "cas_classifier", "metrics", REPEAT, PURPOSE, *OF_EDITS, "lpips_weights"),
)
# Where a row comes from: the code that measured it and the code that trained its model (fingerprints, which
# `code.json` beside the results resolves to files), with those that it was reused from; the git commit, and whether
# the tree was as committed; the debug config; the numbers of parts of a batch that the weights depend on, if they do;
# a checksum of the row. And where it was timed.
PROVENANCE = (
    *("code", "training_code", "reused_code", "reused_training_code", "commit", "clean", "debug", "checksum"),
    *(DROPOUT_PARTS, TIMED_ON),
)


class Results:
    """Reads and extends a results file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row, the last of each point and code; a line that is cut short or damaged is passed over."""
        return self.read()[0]

    def of(self, code: str, trained_by: str) -> dict[str, dict[str, Any]]:
        """The rows that some code measured, of a model that some code trained, by their points."""
        return {identity(row): row for row in self.rows() if origin(row) == (code, trained_by)}

    def read(self) -> tuple[list[dict[str, Any]], int]:
        """The rows, and how many lines could not be read.

        Raises:
            UserError: there is something of that name that is no file, or may not be read.
        """
        try:
            text = text_of(self.path, errors="replace")
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            reason = error.strerror or first_line(error)
            raise UserError(f"{self.path} cannot be read ({reason}): rename or remove it") from error
        lines = [line for line in text.splitlines() if line.strip()]
        rows = [row for line in lines if (row := _parse(line)) is not None]
        return list({(identity(row), *origin(row)): row for row in rows}.values()), len(lines) - len(rows)

    def append(self, row: Row) -> None:
        """Adds a row and waits until it is on the disk."""
        whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("" if whole else "\n") + json.dumps({**row, "checksum": checksum(row)}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def identity(row: Row) -> str:
    """The same for rows of the same point, measured with the same settings."""
    return fingerprint(_settings(row))


def origin(row: Row) -> tuple[str, str]:
    """The code that measured a row, and the code that trained its model; "" for what is not known."""
    return str(row.get("code", "")), str(row.get("training_code", ""))


def knobs(row: Row) -> dict[str, Any]:
    """The decoder's own settings in a row, such as `choice_temperature`."""
    return {key: value for key, value in _settings(row).items() if key not in SETTINGS}


def over_repeats(rows: Sequence[Row]) -> list[tuple[Row, Mapping[str, float]]]:
    """One row for the repeats of a point, in their order: the first with the means, and the standard deviations.

    A number that only one of them has is as it is, and has no deviation.
    """
    points = defaultdict(list)
    for row in rows:
        shared = {key: value for key, value in _settings(row).items() if key not in NOT_OF_A_REPEAT}
        points[fingerprint(shared), *origin(row)].append(row)
    return [(repeats[0], {}) if len(repeats) == 1 else _averaged(repeats) for repeats in points.values()]


def grid_path(folder: Path, row: Row) -> Path:
    """Where some samples of a point are drawn, in the folder of its results: those of the code that made them."""
    code = row.get("reused_code", row.get("code"))
    name = identity(row) if code is None else f"{identity(row)}-{code}"
    return folder / GRIDS / f"{name}.png"


def is_floor(row: Row) -> bool:
    """Whether a row is of held-out images or their reconstructions, and not of samples."""
    return "source" in row


def samples_in(rows: Iterable[Row]) -> list[Row]:
    """The rows of samples."""
    return [row for row in rows if not is_floor(row)]


def group_of(rows: Iterable[Row]) -> str:
    """What loggers call a set of points: `eval` of samples, or such as `inpaint_center50` of edits."""
    edits = next((row for row in rows if TASK in row), None)
    return SAMPLES if edits is None else "_".join(re.findall(r"\w+", f"{edits[TASK]} {edits[HOLE]}"))


def table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the rows: held-out images, their reconstructions, and samples ordered by T.

    A distance of fewer samples than the standard is marked with a star, since its bias depends on their number.
    """
    ordered = sorted(rows, key=lambda row: row.get("steps", 0))
    first = ["T"] if any("steps" in row for row in rows) else ["images"] if any(map(is_floor, rows)) else []
    shown = [dict.fromkeys(first, _name(row)) | _cells(row, spread) for row, spread in over_repeats(ordered)]
    columns = [metric.column for metric in registry.of_rows(rows) if metric.column is not None]
    headings = list(dict.fromkeys([*first, *columns]))
    return headings, [[row.get(heading, "-") for heading in headings] for row in shown]


def footnotes(rows: Sequence[Row]) -> list[str]:
    """What a reader of the table has to know."""
    notes, samples = [], samples_in(rows)
    if few := sorted({row["n_samples"] for row in samples or rows if _is_few(row)}):
        counts = " and ".join(f"{count:,}" for count in few)
        notes.append(
            f"* from {counts} samples instead of {STANDARD_SAMPLES:,}, which biases it upwards; compare it only with "
            "distances from as many samples"
        )
    if samples and "cas_real_top1" in samples[0]:
        real, of_all = samples[0]["cas_real_top1"], samples[0].get("cas_real_all_top1")
        also = "" if of_all is None else f"; on all real images {of_all:.3f}"
        notes.append(f"The classifier trained for as long on up to as many real images has CAS@1 {real:.3f}{also}.")
    if draws := max((int(row.get(REPEAT, 0)) for row in rows), default=0):
        notes.append(f"Mean ± standard deviation over {draws + 1} draws of the samples (eval.repeats).")
    for key, name in ((registry.BOUND, "NLL bound"), (registry.EXACT, "Exact NLL")):
        if any(key + registry.ERROR in row for row in rows):
            notes.append(f"{name}: ± its standard error over the held-out images, in nats per token.")
    return [*notes, *_about_floors(rows), *_about_features(rows)]


def _about_floors(rows: Sequence[Row]) -> list[str]:
    """Where there are fewer held-out images than samples, how to compare them."""
    most = max((row["n_samples"] for row in samples_in(rows)), default=0)
    fewer = sorted({row["n_samples"] for row in rows if is_floor(row) and row["n_samples"] < most})
    return [
        f"Held-out images and reconstructions are {n:,}, all there are, and samples {most:,}: a distance of fewer is "
        f"larger, so compare them with eval.n_samples={n}"
        for n in fewer[-1:]
    ]


def _about_features(rows: Sequence[Row]) -> list[str]:
    saw = [row for row in rows if row.get(SAW_REFERENCE)]
    notes = [SAW_REFERENCE_NOTE] if any(metric.biased for metric in registry.of_rows(saw)) else []
    notes += [STAND_IN_NOTE] if any("feature_distance" in row or "feature_diversity" in row for row in rows) else []
    is_tried = any(row.get("lpips_weights") == "random" for row in rows)
    return [*notes, *(["LPIPS is that of a network of random weights, which means nothing"] if is_tried else [])]


def _name(row: Row) -> str:
    """What the first column calls a row."""
    return str(row["steps"]) if "steps" in row else FLOORS.get(str(row.get("source")), "samples")


def _settings(row: Row) -> dict[str, Any]:
    """What a row was measured with.

    A metric of a user's own may be unknown to the process that reads the row, which names it among its `metrics`.
    """
    own = set(str(row.get("metrics", "")).split()) - set(registry.names())
    return {
        key: value
        for key, value in row.items()
        if not registry.is_measured(key)
        and key not in PROVENANCE
        and not key.startswith(VERSION)
        and registry.measure_of(key) not in own
    }


def _is_few(row: Row) -> bool:
    return bool(row.get("n_samples", STANDARD_SAMPLES) < STANDARD_SAMPLES)


def _averaged(repeats: Sequence[Row]) -> tuple[Row, Mapping[str, float]]:
    """The mean row of the repeats of a point, and the standard deviations of its numbers."""
    keys = {key for row in repeats for key in _measured(row)}
    values = {key: [row[key] for row in repeats if math.isfinite(row.get(key, math.nan))] for key in keys}
    spread = {key: stdev(several) for key, several in values.items() if len(set(several)) > 1}
    return {**repeats[0], **{key: fmean(values[key]) for key in spread}}, spread


def _cells(row: Row, spread: Mapping[str, float]) -> dict[str, str]:
    """The cells of a row, by heading, with the spread of its numbers over repeats, or else their standard error."""
    cells: dict[str, str] = {}
    for metric in registry.of_rows([row]):
        if metric.column is not None:
            star = "*" if metric.biased and _is_few(row) else ""
            error = spread.get(metric.key, row.get(metric.key + registry.ERROR))
            within = "" if error is None else f" ± {_cell(error, metric.digits)}"
            cells[metric.column] = _cell(row[metric.key], metric.digits) + within + star
    return cells


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        return None
    whole = isinstance(row, dict) and isinstance(row.get("n_samples"), int)
    numbers = whole and all(isinstance(row[key], int | float) for key in ("steps", *_measured(row)) if key in row)
    if not numbers:
        return None
    known = row.get("checksum", None if "code" in row else checksum(row))  # rows of earlier versions have neither
    return row if known == checksum(row) else None


def _measured(row: Row) -> list[str]:
    return [key for key in row if registry.is_measured(key)]


def _cell(value: object, digits: int) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{0 if abs(value) >= 100 else digits}f}"
