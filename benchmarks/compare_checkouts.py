"""Do two checkouts give the same results, bit for bit? `python benchmarks/compare_checkouts.py BEFORE AFTER`.

Runs the same commands in both, one process after another on one thread of the CPU, each case in a folder and with a
cache of its own, and compares all that they leave: rows of results, scores in run.json, checkpoints and optimisers,
tokenizers, classifiers, codes, references, samples, exported weights, pixels of pictures. Speeds and versions may
differ, and hashes if they are renamed consistently. Prints a line for each case; the exit code is 1 if one differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

RENAMED: dict[str, str] = {}  # keys of rows and of run.json: BEFORE's and AFTER's
# Keys that AFTER alone has.
ADDED = {"code", "training_code", "commit", "clean", "debug", "checksum"}
PREFIXES: list[tuple[str, str]] = []  # of the names of weights: BEFORE's and AFTER's
SPEEDS = re.compile(
    "images_per_second|decode_seconds_per_image|version_.*|commit|clean|checksum|code|training_code"
)  # these may differ
HASHES = {"model", "cas_classifier", "samples_fingerprint", "labels", "reference_fingerprint", "features_weights"}
MERGED = {"model"}  # of which AFTER may give several of BEFORE's one name: the same weights are the same model
FINGERPRINT = re.compile("[0-9a-f]{12}(-[0-9a-f]{12})?")  # in the names of files, also one of code after it
RUN = re.compile(r"outputs/[^/]+/[^/]+/")  # the folder of a run, whose name may change
TOKENS = re.compile(r"(train|test)-(shard-)?\d+(-\d+)?\.(npy|safetensors)")  # shards of codes, in two forms
# Labels of codes, which the rows hold as well, pictures that have other words now or that AFTER alone draws, and what
# is no run's record.
IGNORED = re.compile(r"((train|test)_)?labels\.(npy|safetensors)|curve\.png|.*-epoch_\d+\.png|(?!run\.).*\.json")
# Commands as AFTER spells them; of two values for one setting the later counts. `given/` is made by `make_inputs`.
TRAIN = "train.py logger=none trainer=cpu trainer.threads=1 cache_dir=cache run_dir=run "
TINY = TRAIN + "debug=tiny max_images=null eval.picture_classes=10 eval.picture_columns=12 "
EVALUATE = "evaluate.py logger=none trainer=cpu trainer.threads=1 cache_dir=cache "
ROOT = "data.root=given/pictures"
SMALL = f"data=image_folder {ROOT} data.size=32 mvtm.net.depth=1 tokenizer.net.base_width=32"
TWO_SIZES = f"{SMALL} tokenizer.train_size=64"
EXPERIMENTS = {"digits": "", "cifar10": ROOT, "imagenet256": SMALL, "imagenet512": TWO_SIZES, "places2": TWO_SIZES}
EXPERIMENTS |= {f"tokenizer_{name}": shrunk for name, shrunk in EXPERIMENTS.items() if shrunk}
CASES = {
    "demo": [TRAIN],
    "tiny": [TINY],
    "linear": [TINY + "schedule=linear seed=1 decode.guidance=0"],
    "guided": [TINY + "mvtm.label_dropout=0.1 decode.guidance=1 decode.choice_temperature=2"],
    "options": [TINY + "stage=mvtm tokens.views=2 mvtm.min_masking_rate=0.5 mvtm.loss_on=all mvtm.net.dropout=0.1"],
    "experiments": [f"{TRAIN} experiment={name} debug=dry_run run_dir={name} {x}" for name, x in EXPERIMENTS.items()],
    "gan": [
        TINY + "stage=mvtm tokenizer.losses.adversarial=0.1 tokenizer/perceptual=resnet50 trainer.accumulate=2 "
        "tokenizer.perceptual_weights=random tokenizer.dead_codes.revive=true tokenizer.dead_codes.window=4"
    ],
    "sweep": [TINY + "run_dir=null sweeps=mask_schedule schedule=linear,cosine hydra.launcher.n_jobs=1"],
    "evaluate": [
        TINY,
        EVALUATE + "checkpoint=run decode.steps=[3] decode.choice_temperature=2 eval.n_samples=50 save=[npz]",
        EVALUATE + "checkpoint=run decode.steps=[2,5] decode.schedule=linear seed=1 save=[npz,png] out=other "
        "eval.n_samples=30 eval.batch_size=7 eval.reference=test eval.splits=2 eval.neighbours=4 eval.kid_subsets=3 "
        "eval.kid_subset_size=20 eval.nll_draws=2 eval.metrics=[fid,kid,inception_score,precision_recall,nll]",
    ],
    "external": [
        EVALUATE + "samples=given/fake.npz eval.reference=given/real.npz eval.kid_subsets=2 features=inception "
        "features.weights=random eval.precision_features=vgg16 eval.precision_weights=random out=inception",
        EVALUATE + "samples=given/fake.npz data=digits eval.reference=train eval.metrics=[cas] cas=small "
        "cas.optim.epochs=1 features=classifier classifier=small classifier.optim.epochs=1 out=cas",
    ],
    "sample": [
        TINY + "stage=mvtm",
        "sample.py checkpoint=run accelerator=cpu classes=[3,7] n=4 decode.steps=4 out=samples",
        "sample.py checkpoint=run accelerator=cpu n=2 decode.schedule=linear seed=1 out=others",
    ],
    "export": [TINY + "stage=mvtm", "export.py checkpoint=run out=exported"],
}
Table = dict[str, Any]  # plain values as they are written, arrays as (type, shape, bits)
READERS: dict[str, tuple[str, Callable[[Path], list[Table]]]] = {
    ".jsonl": ("rows", lambda path: [json.loads(line) for line in path.read_text().splitlines()]),
    ".json": ("records", lambda path: [_scores(json.loads(path.read_text()))]),
    ".ckpt": ("tensors", lambda path: [_states(torch.load(path, map_location="cpu", weights_only=True))]),
    ".safetensors": ("tensors", lambda path: [load_file(path)]),
    ".npz": ("tensors", lambda path: [dict(np.load(path))]),
    ".npy": ("tensors", lambda path: [{"codes": np.load(path)}]),
    ".png": ("pictures", lambda path: [{"pixels": np.asarray(Image.open(path))}]),
}


class Checkout:
    """A version of the project in a folder, with its scripts, its `src/` and its `.venv/`."""

    def __init__(self, folder: Path) -> None:
        self.folder, source = folder.resolve(), folder.resolve() / "src"
        self.eval = " eval." if (source / "maskgit_lab" / "runs").is_dir() else " "  # before settings of evaluate.py
        # Its own code comes first, so that checkouts may share one environment.
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(source)}
        code = self._python(Path(), "-c", "import maskgit_lab; print(maskgit_lab.__file__)").strip()
        assert Path(code).is_relative_to(source), f"{self.folder} runs the code in {code}, which is not its own"

    def carry_out(self, case: str, folder: Path) -> str:
        """Runs the commands of a case in a new folder; returns how long that took, or that they were run before."""
        commands = [(c if c.startswith("train") else c.replace(" eval.", self.eval)).split() for c in CASES[case]]
        record, told = folder / "commands.json", {"checkout": str(self.folder), "commands": commands}
        if record.exists() and json.loads(record.read_text()) == told:  # it was run to its end
            return "kept"
        shutil.rmtree(folder, ignore_errors=True)
        make_inputs(folder / "given")
        begun = time.perf_counter()
        for script, *arguments in commands:
            self._python(folder, self.folder / script, *arguments)
        record.write_text(json.dumps(told))
        return f"{time.perf_counter() - begun:.0f} s"

    def _python(self, place: Path, *arguments: str | Path) -> str:
        """What a command prints; raises a `RuntimeError` with the last of it if the command fails."""
        command = [self.folder / ".venv" / "bin" / "python", *arguments]
        done = subprocess.run(command, cwd=place, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr[-1000:]}")
        return done.stdout


def make_inputs(folder: Path) -> None:
    """Pictures of two splits and ten classes, and two files of images with their classes."""
    chance = np.random.default_rng(0)
    for label, i in np.ndindex(10, 5):
        place = folder / "pictures" / ("train" if i < 3 else "test") / f"class_{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(25 * label, 256, (72, 80, 3), np.uint8)).save(place / f"{i}.png")
    for name, low in (("real", 0), ("fake", 60)):
        pixels = chance.integers(low, 256, (12, 16, 16, 3), np.uint8)
        np.savez(folder / f"{name}.npz", arr_0=pixels, arr_1=np.arange(12) % 10)


def find(folder: Path) -> dict[str, list[Path]]:
    """The files to compare, by their places without fingerprints, which several may have in common."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.suffix in READERS and place.parts[0] != "given" and not IGNORED.fullmatch(path.name):
            found.setdefault(_called(str(place)), []).append(path)
    return found


def _called(place: str) -> str:
    return TOKENS.sub(r"\1 codes.npy", FINGERPRINT.sub("*", RUN.sub("outputs/RUN/", place)))


def read(paths: Sequence[Path], called: Callable[[str], str] = str) -> list[Table]:
    """A table for each row of results, and one for any other file: weights, codes, pixels or scores by name."""
    tables = [table for path in paths for table in READERS[path.suffix][1](path)]
    return [{called(name): _bits(value) for name, value in table.items()} for table in tables]


def _renamed(name: str) -> str:
    moved = [new + name.removeprefix(old) for old, new in PREFIXES if name.startswith(old)]
    return moved[0] if moved else RENAMED.get(name, name)


def _scores(record: dict[str, Any]) -> dict[str, float]:
    done = record.get("done", record)  # there was a layer of this name
    parts = {part: {**x, **x.get("scores", {})} for part, x in done.items() if isinstance(x, dict)}
    return {f"{part} {key}": value for part, x in parts.items() for key, value in x.items() if isinstance(value, float)}


def _states(checkpoint: dict[str, Any]) -> dict[str, Any]:
    found = dict(checkpoint["state_dict"])
    for number, optimizer in enumerate(checkpoint["optimizer_states"]):
        for i, state in [*optimizer["state"].items(), *enumerate(optimizer["param_groups"])]:
            found |= {f"optimizer {number}, {i}, {name}": value for name, value in state.items()}
    return found


def _bits(value: Any) -> Any:
    array = value.numpy() if isinstance(value, torch.Tensor) else value
    return (array.dtype.str, array.shape, array.tobytes()) if isinstance(array, np.ndarray) else repr(value)


class Comparison:
    """What the commands of a case left in the folders of BEFORE and of AFTER."""

    def __init__(self, before: Path, after: Path) -> None:
        self.differences, self.counts = list[str](), dict.fromkeys(("rows", "records", "tensors", "pictures"), 0)
        self.hashes: dict[tuple[str, str, str], str] = {}  # of one side: what they are on the other
        self.alone: dict[str, set[str]] = {"BEFORE": set(), "AFTER": set()}  # names that one side alone has
        there, here = find(before), find(after)
        for place in sorted({*there, *here}):
            self._compare(place, read(there.get(place, []), _renamed), read(here.get(place, [])))
        self.differences[:0] = [f"only in {side}: {', '.join(sorted(own))}" for side, own in self.alone.items() if own]

    def _compare(self, place: str, before: list[Table], after: list[Table]) -> None:
        n_arrays = sum(isinstance(value, tuple) for table in before for value in table.values())
        self.counts[READERS[Path(place).suffix][0]] += n_arrays or len(before)
        if len(before) != len(after):
            self.differences.append(f"{place}: {len(before)} became {len(after)}")
            return
        for old in sorted(before, key=lambda table: table not in after):  # files whose names are hashes have no order
            new = old if old in after else after[0]
            after.remove(new)
            self.alone["BEFORE"] |= old.keys() - new.keys()
            self.alone["AFTER"] |= new.keys() - old.keys() - ADDED
            for name in [name for name in old if name in new and not self._agree(name, old[name], new[name])]:
                self.differences.append(f"{place} {name}: {_told(old[name], new[name])}")

    def _agree(self, name: str, old: Any, new: Any) -> bool:
        if isinstance(old, tuple) or name not in HASHES:
            return old == new or bool(SPEEDS.fullmatch(name))
        pairs = [((name, "BEFORE", old), new), ((name, "AFTER", new), old)]
        if name in MERGED:
            pairs.pop()
        return all(self.hashes.setdefault(one, other) == other for one, other in pairs)


def _told(old: Any, new: Any) -> str:
    if isinstance(old, str) or isinstance(new, str) or old[:2] != new[:2]:
        return " became ".join(x if isinstance(x, str) else f"{x[0]} {x[1]}" for x in (old, new))
    x, y = (np.frombuffer(data, dtype).astype(float) for dtype, _, data in (old, new))
    return f"{np.count_nonzero(x != y):,} of {x.size:,} values differ, at the most by {np.abs(x - y).max():.3g}"


def compare(case: str, checkouts: Sequence[Checkout], folder: Path) -> bool:
    """Runs a case in both checkouts and prints what came of it; returns whether all is equal."""
    before, after = folder / "before" / case, folder / "after" / case
    shutil.rmtree(after, ignore_errors=True)  # its code may be another by now
    try:
        times = [checkouts[0].carry_out(case, before), checkouts[1].carry_out(case, after)]
    except RuntimeError as error:
        print(f"{case:<12} FAILED: {error}", flush=True)
        return False
    found = Comparison(before, after)
    seen = ", ".join(f"{count:,} {what}" for what, count in found.counts.items() if count)
    verdict = f"{len(found.differences):,} DIFFERENCES" if found.differences else "equal"
    line = f"{case:<12} {seen}: {verdict} ({', '.join(times)})"
    print(line, *found.differences[:5], sep=f"\n{'':<13}", flush=True)
    return not found.differences


def main() -> None:
    """Prints what was seen; the exit code is 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, metavar="BEFORE")
    parser.add_argument("after", type=Path, metavar="AFTER")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keeps all there; BEFORE is run only once")
    arguments = parser.parse_args()
    checkouts = [Checkout(arguments.before), Checkout(arguments.after)]
    with tempfile.TemporaryDirectory() as temporary:
        equal = [compare(case, checkouts, (arguments.keep or Path(temporary)).resolve()) for case in arguments.only]
    sys.exit(not all(equal))


if __name__ == "__main__":
    main()
