"""A sweep that is killed again and again against one that is left alone: the same results, and no job done twice?

    python benchmarks/killed_sweep.py [--kills 5] [OVERRIDE ...]

Runs the seven schedules with seeds 0 and 1 at the size of `debug=tiny`, or as the overrides say, twice: once
undisturbed, and once with SIGKILL to the whole process group at random moments, each time started again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAIN = Path(__file__).resolve().parents[1] / "train.py"
SWEEP = ["sweeps=mask_schedule", "sweep.seeds=[0,1]", "logger=none", "trainer=cpu"]
SPEEDS = re.compile("images_per_second|version_.*")  # these may differ
DONE = re.compile(r"(\d+) jobs, (\d+) of them finished before")


def start(folder: Path, overrides: list[str]) -> subprocess.Popen[bytes]:
    """The sweep as a process group of its own, which prints into the folder."""
    folder.mkdir(exist_ok=True)
    with (folder / "sweep.log").open("ab") as log:
        command = [sys.executable, str(TRAIN), *SWEEP, *overrides]
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def finished(folder: Path) -> dict[str, int]:
    """The runs that are finished, and when their results were last written."""
    found = {}
    for record in folder.glob("outputs/*/*/run.json"):
        if json.loads(record.read_text())["pictures"]:
            found[record.parent.name] = (record.parent / "results.jsonl").stat().st_mtime_ns
    return found


def results(folder: Path) -> dict[str, dict[str, object]]:
    """Every row, without speeds, by its run and T."""
    rows = {}
    for path in folder.glob("outputs/*/*/results.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            key = f"{path.parent.name} T={row['steps']}"
            assert key not in rows, f"{key} was measured twice"
            rows[key] = {name: value for name, value in row.items() if not SPEEDS.fullmatch(name)}
    return rows


def finish(folder: Path, overrides: list[str]) -> float:
    """Runs the sweep to its end; returns the seconds that it took."""
    begin = time.perf_counter()
    assert start(folder, overrides).wait() == 0, (folder / "sweep.log").read_text()
    return time.perf_counter() - begin


def kill(folder: Path, overrides: list[str], seconds: float) -> int:
    """Starts the sweep and kills it after so many seconds; returns how many finished jobs were done again."""
    before, process = finished(folder), start(folder, overrides)
    time.sleep(seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    after = finished(folder)
    print(f"killed after {seconds:.0f} s: {len(after)} jobs finished so far", flush=True)
    return sum(after[name] != when for name, when in before.items())


def compare(calm: Path, killed: Path, kills: int, overrides: list[str], chance: random.Random) -> bool:
    """Whether the results are the same and nothing was done twice."""
    whole = finish(calm, overrides)
    print(f"undisturbed: {len(finished(calm))} jobs in {whole:.0f} s", flush=True)
    again = sum(kill(killed, overrides, chance.uniform(0.05, 0.3) * whole) for _ in range(kills))
    before = finished(killed)
    finish(killed, overrides)
    again += sum(finished(killed)[name] != when for name, when in before.items())
    count, found = DONE.findall((killed / "sweep.log").read_text())[-1]
    print(f"the last start found {found} of {count} finished; finished jobs that were done again: {again}")
    same = results(calm) == results(killed)
    print(f"{len(results(killed))} rows, {'all equal' if same else 'NOT equal'} to those of the undisturbed sweep")
    return same and again == 0


def main() -> None:
    """Prints what was seen; the exit code is 1 if results differ or a finished job was done again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    arguments, overrides = parser.parse_known_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as place:
        calm, killed = Path(place) / "calm", Path(place) / "killed"
        sys.exit(not compare(calm, killed, arguments.kills, overrides or ["debug=tiny"], chance))


if __name__ == "__main__":
    main()
