"""Do samples depend on processes or batches? `python benchmarks/ranks_and_batches.py checkpoint=RUN_DIR KEY=VALUE ...`.

Evaluates a run with 1, 2 and 3 processes (gloo, on the CPU) and with batches of 7 and 64, saves the samples and counts
the codes that differ from those of one process with batches of 64. The noise of a sample is the same in all of them;
where floating-point noise of another batch shape turns one decision, the codes decoded after it may differ too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).resolve().parents[1] / "evaluate.py"
PLANS = [(1, 64), (1, 7), (2, 64), (2, 7), (3, 64), (3, 7)]


def codes(folder: Path, processes: int, batch_size: int, settings: list[str]) -> np.ndarray:
    """The codes of all samples, (n, N)."""
    out = folder / f"{processes}-{batch_size}"
    asked = [f"trainer.devices={processes}", f"eval.batch_size={batch_size}", "eval.metrics=[fid]"]
    asked += [f"out={out}", "save=[npz]"]
    quiet = ["logger=none", "trainer=cpu", "trainer.threads=1"]
    subprocess.run([sys.executable, str(SCRIPT), *quiet, *asked, *settings], check=True, stdout=subprocess.DEVNULL)
    (path,) = out.glob("samples/*/samples.npz")
    return np.load(path)["tokens"]


def main(settings: list[str]) -> None:
    """Counts and prints."""
    with tempfile.TemporaryDirectory() as folder:
        first, worst = codes(Path(folder), *PLANS[0], settings), 0.0
        for processes, batch_size in PLANS[1:]:
            found = codes(Path(folder), processes, batch_size, settings)
            differ, images = int((found != first).sum()), int((found != first).any(axis=1).sum())
            worst = max(worst, differ / first.size)
            print(
                f"{processes} processes, batches of {batch_size:>2}: {differ} of {first.size:,} codes differ, "
                f"in {images} of {len(first):,} images"
            )
        print(f"at the most {worst:.1e} of the codes")


if __name__ == "__main__":
    main(sys.argv[1:] or sys.exit(__doc__))
