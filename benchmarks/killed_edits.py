"""Kills many edits at random moments: `python benchmarks/killed_edits.py --run RUN_DIR [KEY=VALUE ...]`, some minutes.

`python edit.py task=inpaint image=FOLDER` fills a hole in 5,000 pictures of digits. It gets SIGKILL, three times by
default, each time once it has written a random number of results, so that every kill comes while it edits; then the
command runs to its end. Prints whether the files are those of an undisturbed command, the peak memory of each start,
how many results it finished, and how many that were finished before it wrote again. Without `--run` a tiny run is
trained first; it draws noise, but does the same work. `KEY=VALUE` are further settings of `edit.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from maskgit_lab.data.digits import digits

ROOT = Path(__file__).resolve().parents[1]
FOUND = re.compile(r"([\d,]+) were finished before")
KB = 1024
MOST = 0.8  # share of what is missing that a start may write before it is killed, so that it has not ended by itself


def start(script: str, *settings: str, log: Path) -> subprocess.Popen[bytes]:
    """Begins a command in a process group of its own."""
    with log.open("wb") as out:
        command = [sys.executable, str(ROOT / script), *settings]
        return subprocess.Popen(command, start_new_session=True, stdout=out, stderr=subprocess.STDOUT)


def write_pictures(folder: Path, count: int) -> None:
    """Digits in folders of a thousand, each several times where there are fewer."""
    data = digits()
    splits = [data.train, data.test]
    scans = [split[i][0] for split in splits for i in range(len(split))]
    for i in range(count):
        place = folder / f"{i // 1000:02}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = (scans[i % len(scans)] * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(place / f"{i:05}.png")


def finished(out: Path) -> dict[str, int]:
    """The results and when each was written."""
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.glob("*/*.png")}


def memory(process: subprocess.Popen[bytes]) -> int:
    """Bytes of a process at its largest up to now; 0 where that is not known."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    except OSError:
        return 0
    return KB * int(found[1]) if found else 0  # it has just ended


def peak_while(process: subprocess.Popen[bytes], out: Path, results: int | None) -> int:
    """Bytes of a process at its largest, until it ends, or is killed once there are so many results."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory(process))
        if results is not None and len(finished(out)) >= results:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(0.05)
    return peak


def attempt(title: str, settings: list[str], out: Path, log: Path, results: int | None = None) -> int:
    """Runs the command until it ends, or is killed once there are so many results.

    Returns:
        How many results that were finished before it wrote again.
    """
    before, begin = finished(out), time.perf_counter()
    process = start("edit.py", *settings, f"out={out}", log=log)
    peak, took, after = peak_while(process, out, results), time.perf_counter() - begin, finished(out)
    if process.returncode not in (0, -signal.SIGKILL):
        sys.exit(log.read_text())
    if results is not None and process.returncode == 0:
        sys.exit(f"{title}: the command ended before it could be killed; give more --pictures")
    again = sum(after[name] != when for name, when in before.items())
    end = "killed" if process.returncode else "finished"
    used = f"{peak / 2**20:.0f} MiB at most" if peak else "its memory is not known, since /proc cannot be read here"
    print(
        f"{title}: {end} after {took:.1f} s, {len(before):,} results found, {len(after) - len(before):,} made, "
        f"{again} made again, {used}",
        flush=True,
    )
    return again


def compare(place: Path, run: str, kills: int, settings: list[str], chance: random.Random) -> bool:
    """Whether the files are the same and nothing was made twice."""
    calm, killed, log = place / "calm", place / "killed", place / "edit.log"
    whole = [f"checkpoint={run}", "task=inpaint", f"image={place / 'pictures'}", "box=[4,4,12,12]", *settings]
    attempt("undisturbed", whole, calm, log)
    few = place / "few"
    few.mkdir()
    (place / "pictures" / "00").rename(few / "00")
    attempt("a thousand alone", [*whole, f"image={few}"], place / "calm_few", log)
    (few / "00").rename(place / "pictures" / "00")
    again, count = 0, len(finished(calm))
    for i in range(kills):
        found = len(finished(killed))
        most = int(MOST * (count - found) / (kills - i))  # leaves as much for each of the others
        again += attempt(f"kill {i + 1}", whole, killed, log, found + chance.randint(1, most))
    again += attempt("last", whole, killed, log)
    said = FOUND.search(log.read_text())
    print(f"the last start says that it found {said[1] if said else 'none'}")
    same = {name: (calm / name).read_bytes() for name in finished(calm)} == {
        name: (killed / name).read_bytes() for name in finished(killed)
    }
    left = list(killed.rglob(".*.partial"))
    print(
        f"{len(finished(killed)):,} files, {'all equal' if same else 'NOT equal'} to those of the undisturbed command"
    )
    print(f"partial files left: {len(left)}")
    return same and again == 0 and not left


def main() -> None:
    """Prints what was seen; the exit code is 1 if files differ or a finished result was made again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", help="the folder of a run on the digits; without it, a tiny one is trained")
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    arguments, settings = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as root:
        place, run = Path(root), arguments.run
        write_pictures(place / "pictures", arguments.pictures)
        if run is None:
            run = str(place / "run")
            places = [f"run_dir={run}", f"cache_dir={place / 'cache'}"]
            start("train.py", "debug=tiny", "logger=none", *places, log=place / "train.log").wait()
        sys.exit(not compare(place, run, arguments.kills, settings, random.Random(arguments.seed)))


if __name__ == "__main__":
    main()
