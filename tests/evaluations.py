"""What tests of `evaluate.py` share."""

import numpy as np

from maskgit_lab.runs.results import Results

QUIET = ["logger=none", "trainer=cpu"]


def rows(folder):
    return Results(folder / "results.jsonl").rows()


def npz(folder):
    (path,) = (folder / "samples").glob("*/samples.npz")
    with np.load(path) as file:
        return {name: file[name] for name in file.files}
