"""Kills the writing of a token cache at random moments: `python benchmarks/kill_token_cache.py`, some minutes.

The whole process group of `python train.py stage=tokens` gets SIGKILL, ten times by default, each time after a random
part of what an undisturbed writing takes; then it runs to its end. Prints whether the bytes are those of a cache that
was written in one go, and how many shards were found finished at each start.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

SCRIPT = Path(__file__).resolve().parents[1] / "train.py"
SETTINGS = ("tokenizer.net.base_width=64", "tokenizer.net.n_blocks=2", "tokens.shard_size=128", "tokens.views=4")


def start(folder: Path, tokenizer: Path) -> subprocess.Popen[bytes]:
    """Begins, or continues, the token cache in a folder, in a process group of its own."""
    place = [f"run_dir={folder}/run", f"cache_dir={folder}/cache", f"tokenizer.weights={tokenizer}"]
    command = [sys.executable, str(SCRIPT), "stage=tokens", "logger=none", "trainer.threads=1", *SETTINGS, *place]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished_shards(folder: Path) -> int:
    """Finished shards of a cache that is not finished."""
    return len(list(folder.glob("cache/tokens/*.partial/*-shard-*.safetensors")))


def digest(folder: Path) -> str:
    """Of every byte of the finished cache, but for the manifest's order of keys."""
    (entry,) = (path for path in (folder / "cache" / "tokens").iterdir() if path.is_dir() and path.suffix == "")
    files = sorted(path for path in entry.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


def in_one_go(folder: Path, tokenizer: Path) -> float:
    """Seconds of encoding in an undisturbed writing."""
    said = start(folder, tokenizer).communicate()[0].decode()
    return float(re.search(r"done in ([\d.]+) s", said)[1])  # type: ignore[index]


def kill_while_encoding(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Kills a process and all its children so long after it began to encode."""
    assert process.stdout is not None
    for line in process.stdout:
        if b"encoding" in line:
            break
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as root:
        whole, killed, tokenizer = (Path(root) / name for name in ("whole", "killed", "tokenizer.safetensors"))
        torch.manual_seed(0)
        VQGANTokenizer(VQGAN(32, 16, base_width=64, multipliers=(1, 2), n_blocks=2, norm_groups=8)).save(tokenizer)
        encoding = in_one_go(whole, tokenizer)
        print(f"in one go: {encoding:.1f} s of encoding", flush=True)
        for i in range(arguments.kills):
            kill_while_encoding(start(killed, tokenizer), 1.5 * rng.random() * encoding / arguments.kills)
            print(f"kill {i + 1}: {finished_shards(killed)} shards finished", flush=True)
        print(start(killed, tokenizer).communicate()[0].decode().strip())
        same = digest(whole) == digest(killed)
        print(f"identical to one written in one go: {'yes' if same else 'NO'}")
        sys.exit(not same)


if __name__ == "__main__":
    main()
