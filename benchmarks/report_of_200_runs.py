"""Time and size of a report: `python benchmarks/report_of_200_runs.py`, half a minute on one core.

Writes 203 made-up runs (seven schedules by 29 seeds, 9 numbers of decoding steps each, with a grid of samples for every
point) into a temporary folder, has report.py read them in a process of its own, imports included, and prints the
seconds that it took and the size of the page.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from synthetic_runs import SCHEDULES, make_run, row  # noqa: E402

STEPS = (1, 2, 4, 6, 8, 12, 16, 32, 64)
MEGABYTE = 1e6


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=29)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs, out = Path(folder) / "runs", Path(folder) / "report"
        for schedule in SCHEDULES:
            for seed in range(arguments.seeds):
                make_run(runs / f"schedule_{schedule}+seed_{seed}", [row(schedule, seed, t) for t in STEPS])
        begun = time.perf_counter()
        command = [sys.executable, str(ROOT / "report.py"), f"runs={runs}", f"out={out}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds, size = time.perf_counter() - begun, (out / "report.html").stat().st_size
    n_runs = len(SCHEDULES) * arguments.seeds
    print(f"{n_runs} runs: {seconds:.1f} s (at most 20), page {size / MEGABYTE:.1f} MB (at most 8)")


if __name__ == "__main__":
    main()
