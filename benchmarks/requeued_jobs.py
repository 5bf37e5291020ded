"""Jobs that run out of time and are queued again against one that is left alone: the same weights, bit for bit?

    python benchmarks/requeued_jobs.py [--only submitit sbatch machines] [--seconds 90] [--place DIR] [OVERRIDE ...]

The same training, once undisturbed and then

    submitit  by `hydra/launcher=submitit_local`, which sends SIGUSR2 half a minute before its limit of minutes
    sbatch    by the stand-in for sbatch in tests/slurm, which sends SIGUSR1 half a minute before its limit
    machines  the same as two tasks on two machines, against two processes that are left alone

as often as it takes to end. `--seconds` is what each turn takes until the signal, with the start of the command.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ROOT / "train.py"
SETTINGS = ("debug=tiny", "stage=mvtm", "mvtm.optim.epochs=400", "logger=none", "trainer=cpu", "trainer.threads=1")
PLACES = ("run_dir=run", "cache_dir=cache")
KINDS = ("submitit", "sbatch", "machines")
NOTICE = 30  # seconds between the signal and the limit
TURNS = re.compile(r"^Requeued batch job|Requeued job", re.MULTILINE)
SCRIPT = """#!/bin/bash
#SBATCH --job-name=train
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --time={minutes:02}:{seconds:02}
#SBATCH --signal=USR1@{notice}
#SBATCH --requeue
srun --kill-on-bad-exit=1 {command}
"""


def run(folder: Path, command: Sequence[object]) -> str:
    """Runs a command in a folder; returns what it prints."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    begin = time.perf_counter()
    with (folder / "command.log").open("wb") as log:
        code = subprocess.run(
            list(map(str, command)), cwd=folder, env=environment, stdout=log, stderr=log, check=False
        ).returncode
    said = "\n".join(path.read_text(errors="replace") for path in folder.rglob("*.log") if path.is_file())
    said += "\n".join(path.read_text(errors="replace") for path in folder.rglob("*_log.out"))
    if code or not (folder / "run" / "checkpoints" / "last.ckpt").exists():
        sys.exit(f"{folder}: exit code {code}\n{said}")
    print(
        f"{folder.name}: {time.perf_counter() - begin:.0f} s, queued again {len(TURNS.findall(said))} times", flush=True
    )
    for line in dict.fromkeys(re.findall(r"^interrupted.*$|^.*scontrol requeue.*$", said, re.MULTILINE)):
        print(f"    {line}")
    return said


def by_submitit(folder: Path, settings: Sequence[str], seconds: int) -> str:
    """Jobs of submitit on this machine; its limits are in minutes, and it queues a job again three times."""
    minutes = -(-(seconds + NOTICE) // 60)
    launcher = [f"hydra.launcher.{each}" for each in (f"timeout_min={minutes}", "stderr_to_stdout=true")]
    more = ["hydra/launcher=submitit_local", "hydra.sweep.dir=sweep", *launcher]
    return run(folder, [sys.executable, TRAIN, "-m", *settings, *PLACES, *more])


def by_sbatch(folder: Path, settings: Sequence[str], seconds: int, nodes: int) -> str:
    """Tasks of a job of the stand-in for SLURM, one for each machine."""
    folder.mkdir(parents=True)
    command = " ".join([sys.executable, str(TRAIN), *settings, *PLACES, f"trainer.num_nodes={nodes}"])
    limit = divmod(seconds + NOTICE, 60)
    text = SCRIPT.format(nodes=nodes, minutes=limit[0], seconds=limit[1], notice=NOTICE, command=command)
    (folder / "job.sh").write_text(text)
    return run(folder, [ROOT / "tests" / "slurm" / "sbatch", "job.sh"])


def state(folder: Path) -> dict[str, object]:
    """The weights and the state of the optimizer."""
    checkpoint = torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")
    found: dict[str, object] = {name: value.numpy().tobytes() for name, value in checkpoint["state_dict"].items()}
    for number, values in checkpoint["optimizer_states"][0]["state"].items():
        found |= {f"{number} {name}": bytes(value.numpy().tobytes()) for name, value in values.items()}
    return found


def main() -> None:
    """Prints what was seen; the exit code is 1 if anything differs or no job was queued again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, help="some of them")
    parser.add_argument("--seconds", type=int, default=90, help="of each turn, until the signal")
    parser.add_argument("--place", type=Path, help="keeps everything there; without it, a temporary folder is used")
    arguments, overrides = parser.parse_known_args()
    settings = [*SETTINGS, *overrides]
    with tempfile.TemporaryDirectory() as temporary:
        place = (arguments.place or Path(temporary)).resolve()
        right = [compare(place, each, settings, arguments.seconds) for each in arguments.only or KINDS]
        sys.exit(not all(right))


def compare(place: Path, kind: str, settings: Sequence[str], seconds: int) -> bool:
    """Whether the jobs of one kind end as a command that is left alone."""
    devices = 2 if kind == "machines" else 1
    calm, folder = place / f"undisturbed with {devices}", place / kind
    if not calm.exists():
        run(calm, [sys.executable, TRAIN, *settings, *PLACES, f"trainer.devices={devices}"])
    if kind == "submitit":
        said = by_submitit(folder, settings, seconds)
    else:
        said = by_sbatch(folder, settings, seconds, nodes=devices)
    same, again = state(calm) == state(folder), len(TURNS.findall(said))
    print(f"{kind}: {'equal bit for bit' if same else 'NOT equal'}", flush=True)
    return same and again > 0


if __name__ == "__main__":
    main()
