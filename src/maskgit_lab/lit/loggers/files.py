"""The curve as a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from maskgit_lab.lit.loggers.base import Described, RunLogger
from maskgit_lab.runs.results import RESULTS, Results, Row


class CurveFile(RunLogger):
    """`curve.csv` beside `results.jsonl`: all of its points, one a line. What is trained is in every run's
    `metrics.csv`.
    """

    def __init__(self, about: Described) -> None:
        super().__init__()
        self.folder = about.folder

    def points(self, rows: Sequence[Row]) -> None:
        """Writes the file, whole or not at all."""
        every = Results(self.folder / RESULTS).rows()
        columns = list(dict.fromkeys(key for row in every for key in row))
        temporary = self.folder / "curve.csv.partial"
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(every)
        temporary.replace(self.folder / "curve.csv")
