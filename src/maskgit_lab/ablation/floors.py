"""What the samples of a study are compared with: held-out real images, and reconstructions of them, against the same
reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.points import Point
from maskgit_lab.runs.results import HELD_OUT, PASTED, RECONSTRUCTIONS, Row

NAMES = {HELD_OUT: "held-out images", RECONSTRUCTIONS: "reconstructions", PASTED: "pasted reconstructions"}
REAL_CLASSIFIER, CAS_KEY = "classifier on real images", "cas_top1"
ALIKE = (  # settings in which rows of a study and of its floors agree
    *("data", "features", "features_weights", "precision_features", "precision_weights", "reference"),
    *("reference_fingerprint", "reference_features", "splits", "neighbours", "kid_subsets", "kid_subset_size"),
)
# Settings in which edits and what is pasted agree.
EDITED_ALIKE = ("task", "hole", "hide", "grow", "blend", "seam", "lpips_weights")


@dataclass(frozen=True)
class Floor:
    """What images that no transformer made reach."""

    source: str  # as rows have it
    n: int  # of images
    rows: Sequence[Row]  # one, or one a tokenizer

    @property
    def name(self) -> str:
        return NAMES[self.source]

    def value(self, key: str) -> float | None:
        """A metric, its mean where there are several tokenizers; None where it was not measured."""
        values = [float(row[key]) for row in self.rows if key in row]
        return fmean(values) if values else None


def floors(study: Group) -> list[Floor]:
    """Those of a study or a baseline: of as many images as its samples where there are such, and else of the most."""
    found = []
    for source in NAMES:
        rows = [row for run in study.runs for row in run.rows if row.get("source") == source and fits(row, study)]
        if rows:
            counts = {int(row["n_samples"]) for row in rows}
            n = study.n_samples if study.n_samples in counts else max(counts)
            found.append(Floor(source, n, _newest([row for row in rows if row["n_samples"] == n], study)))
    return found


def fits(row: Row, study: Group) -> bool:
    """Whether a row of images that no transformer made was measured as the points of a study or a baseline were."""
    keys = (*ALIKE, *EDITED_ALIKE) if row["source"] == PASTED else ALIKE
    return all(row.get(key) == study.settings[key] for key in keys if key in study.settings)


def real_cas(points: Iterable[Point], key: str = "cas_real_top1") -> float | None:
    """CAS of real images, the ceiling of that of samples; None where CAS was not measured."""
    values = [value for point in points if (value := point.value(key)) is not None]
    return fmean(values) if values else None


def _newest(rows: Sequence[Row], study: Group) -> list[Row]:
    """One a tokenizer, of the code that measured the samples where there is one; other metrics are put together."""
    codes = {point.row.get("code") for point in study.points}
    merged: dict[str, Row] = {}
    for row in [row for row in rows if row.get("code") in codes] or rows:
        tokenizer = str(row.get("tokenizer", ""))
        merged[tokenizer] = {**merged.get(tokenizer, {}), **row}
    return list(merged.values())
