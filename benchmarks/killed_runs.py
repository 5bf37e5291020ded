"""Runs, sweeps and DDP runs that are killed against ones that are left alone: the same results, and nothing left?

    python benchmarks/killed_runs.py [--runs 30] [--sweeps 5] [--ddp 3] [--place DIR] [OVERRIDE ...]

Each command of the size of `debug=tiny`, or as the overrides say, is killed at a random moment after it has begun: its
process group by SIGKILL, the command alone by SIGKILL, or the command by SIGTERM; of DDP runs one rank, or the command.
Ten seconds later no process of it may be left, and of a rank's death one sentence must tell. Then the same command
runs to its end: rows, weights and pictures must be those of an undisturbed run, bit for bit, and no job of a sweep that
was finished before may be done again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

TRAIN = Path(__file__).resolve().parents[1] / "train.py"
TINY = ("debug=tiny", "max_images=200", "mvtm.optim.epochs=4", "eval.metrics=[fid]")
FIXED = ("logger=none", "trainer=cpu", "trainer.threads=1")
MARK = "KILLED_RUN"  # in the environment of every process of a command
SPEEDS = re.compile("images_per_second|checksum|commit|clean")  # these may differ
DONE = r"^cost  |^sweep  .*\bfinished$"  # the last lines of a command
SENTENCE = re.compile(r"^(?:error: |interrupted).*$", re.MULTILINE)  # on how a command ended
PATIENCE = 10.0  # seconds, after which nothing is left
SAVING = 20.0  # seconds more for a command that is asked to end


@dataclass(frozen=True)
class Death:
    """How a command is killed."""

    name: str
    number: signal.Signals
    chosen: Callable[[subprocess.Popen[bytes], str], list[int]]  # the processes, by the command and its mark

    @property
    def patience(self) -> float:
        """Seconds until everything has ended."""
        return PATIENCE + (SAVING if self.number == signal.SIGTERM else 0.0)


def processes(mark: str, **variables: str) -> list[int]:
    """The processes of a command, or those of them with some variables in their environment."""
    wanted = {f"{name}={value}".encode() for name, value in {MARK: mark, **variables}.items()}
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            is_zombie = place.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not is_zombie and wanted <= set(place.joinpath("environ").read_bytes().split(b"\0")):
                found.append(int(place.name))
        except OSError:  # it has just ended, or is another user's
            continue
    return found


def _kill(process: int, number: signal.Signals) -> bool:
    """Sends a signal, if there is somebody to get it."""
    with suppress(ProcessLookupError):
        os.kill(process, number)
        return True
    return False


def _rank(number: str) -> Callable[[subprocess.Popen[bytes], str], list[int]]:
    return lambda command, mark: processes(mark, RANK=number)


GROUP = Death("SIGKILL of all", signal.SIGKILL, lambda command, mark: processes(mark))
ALONE = Death("SIGKILL of the command", signal.SIGKILL, lambda command, mark: [command.pid])
TERM = Death("SIGTERM", signal.SIGTERM, lambda command, mark: [command.pid])
ORDINARY = (GROUP, ALONE, TERM)
OF_RANKS = (
    *(Death(f"SIGKILL of rank {i}", signal.SIGKILL, _rank(str(i))) for i in range(2)),
    ALONE,
    Death("SIGTERM of rank 0", signal.SIGTERM, _rank("0")),
    TERM,
)


class Command:
    """A command in a folder of its own.

    Args:
        folder: of its runs, its cache and its log.
        overrides: of the command line.
        begun: words of its output after which it is killed.
    """

    def __init__(self, folder: Path, overrides: Sequence[str], begun: str) -> None:
        self.folder = folder
        self.overrides = overrides
        self.begun = begun
        self.log = folder / "command.log"
        folder.mkdir(parents=True)

    def start(self, mark: str) -> subprocess.Popen[bytes]:
        """Begins it in a process group of its own."""
        command = [sys.executable, str(TRAIN), *self.overrides]
        with self.log.open("wb") as log:
            environment = os.environ | {MARK: mark, "PYTHONUNBUFFERED": "1"}  # so that its output can be followed
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_begun(self, process: subprocess.Popen[bytes]) -> None:
        """Returns once its output says so, or it has ended."""
        while process.poll() is None and not re.search(self.begun, self.log.read_text(errors="replace"), re.MULTILINE):
            time.sleep(0.05)

    def finish(self) -> float:
        """Runs to its end; returns the seconds that it took after it had begun."""
        process = self.start("")
        self.wait_until_begun(process)
        begin = time.perf_counter()
        if process.wait():
            sys.exit(f"{self.folder}: {self.log.read_text()}")
        return time.perf_counter() - begin

    def kill(self, death: Death, seconds: float) -> list[str]:
        """Starts it and kills it so long after it has begun; returns what went wrong."""
        mark = secrets.token_hex(8)
        process = self.start(mark)
        self.wait_until_begun(process)
        time.sleep(seconds)
        killed = [number for number in death.chosen(process, mark) if _kill(number, death.number)]
        if not killed or self._is_done():
            print("    it had finished before", flush=True)
            code, said = process.wait(), self.log.read_text(errors="replace")
            is_said = death in OF_RANKS[:2] and len(SENTENCE.findall(said)) == 1  # of a rank that was about to end
            return [] if code in (0, -death.number) or is_said else [f"it failed: {said}"]
        begin = time.monotonic()
        while process.poll() is None or processes(mark):
            if time.monotonic() - begin > death.patience:
                return [f"left after {death.patience:.0f} s: {each}" for each in self._clean(mark)]
            time.sleep(0.1)
        print(f"    all ended {time.monotonic() - begin:.1f} s later, exit code {process.returncode}", flush=True)
        return self._wrong(process.returncode, death)

    def _is_done(self) -> bool:
        """Whether its output says that all is done, though its processes may still be about to end."""
        return re.search(DONE, self.log.read_text(errors="replace"), re.MULTILINE) is not None

    def _clean(self, mark: str) -> list[str]:
        """Kills what is left; returns what that was."""
        left = []
        for number in processes(mark):
            try:
                left.append(Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                os.kill(number, signal.SIGKILL)
            except OSError:  # it has just ended
                continue
        return left or ["the command itself"]

    def _wrong(self, code: int, death: Death) -> list[str]:
        said = self.log.read_text(errors="replace")
        found = [] if code else ["its exit code was 0"]
        if "Traceback" in said:
            found.append(f"it printed a traceback: {said}")
        speaks = death.number == signal.SIGTERM or death in OF_RANKS[:2]
        sentences = SENTENCE.findall(said)
        if speaks and len(sentences) != 1:
            found.append(f"it printed {len(sentences)} sentences: {sentences}")
        for each in sentences:
            print(f"    {each}")
        return found

    def results(self) -> dict[str, object]:
        """Every row without its speeds, the weights, and the pictures, by their places."""
        found: dict[str, object] = {}
        for run in sorted(path.parent for path in self.folder.rglob("run.json")):
            place = run.relative_to(self.folder)
            rows = map(json.loads, (run / "results.jsonl").read_text().splitlines())
            found[f"{place}: rows"] = [
                {key: row[key] for key in sorted(row) if not SPEEDS.fullmatch(key)} for row in rows
            ]
            checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")
            for name, value in checkpoint["state_dict"].items():
                found[f"{place}: weights {name}"] = value.numpy().tobytes()
            for picture in run.glob("pictures/*.png"):
                found[str(picture.relative_to(self.folder))] = picture.read_bytes()
        for weights in self.folder.rglob("cache/*/*/*.safetensors"):
            found[str(weights.relative_to(self.folder))] = weights.read_bytes()
        return found

    def finished(self) -> dict[str, int]:
        """The runs that are finished, and when their results were last written."""
        records = [path for path in self.folder.rglob("run.json") if json.loads(path.read_text()).get("pictures")]
        return {path.parent.name: (path.parent / "results.jsonl").stat().st_mtime_ns for path in records}


@dataclass(frozen=True)
class Kind:
    """Commands of one kind, and how they are killed."""

    name: str
    overrides: tuple[str, ...]
    begun: str
    deaths: tuple[Death, ...]
    times: int  # that each is killed


KINDS = {
    "runs": Kind("run", ("run_dir=run", "cache_dir=cache"), r"^run ", ORDINARY, 1),
    "sweeps": Kind("sweep", ("-m", "seed=0,1", "cache_dir=cache", "hydra.sweep.dir=logs"), r"^job ", ORDINARY, 3),
    "ddp": Kind("DDP run", ("run_dir=run", "cache_dir=cache", "trainer.devices=2"), r"^run ", OF_RANKS, 1),
}


def examine(kind: Kind, count: int, place: Path, overrides: Sequence[str], chance: random.Random) -> int:
    """Kills some commands; returns how many of them were not as they ought to be."""
    begin = [*kind.overrides[:1], *overrides, *kind.overrides[1:], *FIXED]
    calm = Command(place / "calm", begin, kind.begun)
    whole, wanted, bad = calm.finish(), calm.results(), 0
    print(f"{kind.name}, undisturbed: {whole:.0f} s after its start, {len(wanted)} things to compare", flush=True)
    for i in range(count):
        command, wrong = Command(place / str(i), begin, kind.begun), []
        for j in range(kind.times):
            death, seconds = kind.deaths[(i + j) % len(kind.deaths)], chance.uniform(0, whole / kind.times)
            print(f"  {kind.name} {i + 1}: {death.name} after {seconds:.1f} s", flush=True)
            before = command.finished()
            wrong += command.kill(death, seconds)
            wrong += _done_again(before, command)
        before = command.finished()
        command.finish()
        wrong += _done_again(before, command)
        made = command.results()
        different = sorted(name for name in wanted.keys() | made.keys() if wanted.get(name) != made.get(name))
        wrong += [f"different: {name}" for name in different]
        print("    equal bit for bit" if not different else f"    {len(different)} things differ", flush=True)
        print("".join(f"    WRONG: {each}\n" for each in wrong), end="", flush=True)
        bad += bool(wrong)
    return bad


def _done_again(before: dict[str, int], command: Command) -> list[str]:
    after = command.finished()
    return [f"{name} was finished, and done again" for name, when in before.items() if after.get(name) != when]


def main() -> None:
    """Prints what was seen; the exit code is 1 if anything was not as it ought to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("runs", 30), ("sweeps", 5), ("ddp", 3)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--place", type=Path, help="keeps everything there; without it, a temporary folder is used")
    arguments, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = (arguments.place or Path(temporary)).resolve()
        bad = {}
        for name, kind in KINDS.items():
            if count := getattr(arguments, name):
                chance = random.Random(f"{arguments.seed} {name}")
                bad[name] = examine(kind, count, place / name, overrides or TINY, chance)
        print(", ".join(f"{name}: {wrong} of {getattr(arguments, name)} not right" for name, wrong in bad.items()))
        sys.exit(any(bad.values()))


if __name__ == "__main__":
    main()
