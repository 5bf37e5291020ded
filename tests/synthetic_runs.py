"""Folders of runs as train.py and evaluate.py leave them, with made-up results that follow the paper's curves."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskgit_lab.ablation.published import table3
from maskgit_lab.fingerprints import checksum
from maskgit_lab.runs.names import CODE, EDITING
from maskgit_lab.runs.results import GRIDS, RESULTS, grid_path

SCHEDULES = tuple(table3())
STEPS = (2, 4, 8, 16)
TIMED_ON = "cpu, threads: 1, images at once: 64"
SHARED = {
    "n_samples": 1437,
    "labels": "a06164004d03",
    "features": "classifier",
    "features_weights": "9594da18959e",
    "reference": "digits-train",
    "reference_fingerprint": "2eb98fa97dba-train",
    "reference_features": 50000,
    "splits": 1,
    "neighbours": 3,
    "kid_subsets": 100,
    "kid_subset_size": 1000,
    "nll_draws": 8,
    "metrics": "cas fid inception_score nll precision_recall",
    "cas_classifier": "9f5731050384",
    "data": "digits",
}
CONFIG = """name: digits
stage: all
seed: {seed}
run_dir: null
cache_dir: outputs/cache
data: {{_target_: maskgit_lab.data.digits.digits, size: 16}}
tokenizer: {{net: {{codebook_size: 64}}, weights: null, seed: 0}}
mvtm: {{net: {{depth: {depth}, width: 128}}, optim: {{epochs: 60, lr: 0.002}}}}
schedule: {{_target_: maskgit_lab.masking.schedules.{schedule}}}
decode: {{schedule: null, choice_temperature: 4.5}}
eval: {{steps: {steps}, n_samples: null}}
"""


def row(schedule: str, seed: int, steps: int, **other: Any) -> dict[str, Any]:
    """A point: its distance is lowest at the paper's best T, and there it ranks as in Table 3."""
    known = table3().get(schedule, table3()["cosine"])
    off = math.log2(steps / known.best_steps)
    chance = 1 + 0.02 * math.sin(7 * seed + 3 * steps + len(schedule))
    hotter = 1 + 0.1 * (other.get("choice_temperature", 4.5) - 4.5 - off) ** 2
    distance = (
        known.fid * (1 + 0.1 * min(off * off, 9)) * chance * hotter * (1 + (other.get("guidance", 0.0) - 1) ** 2 / 4)
    )
    distance *= 1.0 if other.get("decode_schedule", schedule) == schedule else 1.3
    return {
        **{"model": f"{schedule}{seed}", "schedule": schedule, "decode_schedule": schedule, "choice_temperature": 4.5},
        **{"guidance": 0.0, "seed": seed, **SHARED, "steps": steps, "images_per_second": 900.0 / steps},
        **{"fd_classifier": distance, "inception_score": 9 / (1 + distance / 40)},
        **{"precision": 0.9 / (1 + distance / 90), "recall": 0.7 / (1 + distance / 40), "nll": known.nll + 0.01 * seed},
        **{"cas_top1": 0.97 / (1 + distance / 200), "cas_top5": 0.99, "cas_real_top1": 0.98},
        **{"version_maskgit_lab": "0.1.0", "version_torch": "2.15.0", **other},
    }


def sequential_row(seed: int, **other: Any) -> dict[str, Any]:
    """A row of an autoregressive model, a third worse than MaskGIT's best: it has neither a schedule nor T."""
    shared = {key: value for key, value in SHARED.items() if key != "nll_draws"}
    return {
        **{"model": f"sequential{seed}", "order": "raster", "decoder": "autoregressive", "temperature": 1.0},
        **{"top_k": None, "top_p": 1.0, "guidance": 0.0, "kv_cache": True, "seed": seed, **shared},
        **{"fd_classifier": 10.0 + 0.5 * seed, "inception_score": 6.5 + 0.1 * seed, "precision": 0.8, "recall": 0.5},
        **{"cas_top1": 0.9 + 0.01 * seed, "cas_top5": 0.98, "cas_real_top1": 0.98, "nll_exact": 3.0 + 0.1 * seed},
        **{"decode_seconds_per_image": 0.02, "timed_on": TIMED_ON, "images_per_second": 50.0, **other},
    }


def floors(**other: Any) -> list[dict[str, Any]]:
    """Held-out images and a tokenizer's reconstructions of them."""
    of_samples = ("labels", "nll_draws", "cas_classifier")
    shared = {key: value for key, value in SHARED.items() if key not in of_samples}
    measured = [
        {"source": "held_out", "fd_classifier": 0.6, "inception_score": 9.0, "precision": 0.9, "recall": 0.9},
        {"source": "reconstructions", "fd_classifier": 1.45, "inception_score": 8.8, "precision": 0.8, "recall": 0.8},
    ]
    return [{**shared, **row, "metrics": "fid inception_score precision_recall", **other} for row in measured]


EDIT = {"task": "inpaint", "hole": "center50", "hide": "edge", "grow": 0, "blend": "blur", "seam": None}


def edit_row(schedule: str, seed: int, steps: int, **other: Any) -> dict[str, Any]:
    """A point of edits: the distances rank as those of samples, a tenth as large, and less so in random order."""
    plain = row(schedule, seed, steps)
    of_samples = ("nll", "cas_top1", "cas_top5", "cas_real_top1", "images_per_second", "cas_classifier", "nll_draws")
    distance = 0.5 + plain["fd_classifier"] / 10 * (1 + 0.2 * (other.get("choice_temperature", 0) >= 1e6))
    edited = {"psnr": 12.0 - distance / 10, "feature_distance": 0.3 + distance / 20, "sample_accuracy": 0.9}
    edited |= {"feature_diversity": 0.2 + distance / 100, "fd_classifier": distance, "kd_classifier": distance / 1000}
    kept = {key: value for key, value in plain.items() if key not in of_samples}
    return {**kept, **EDIT, "variants": 2, "use_labels": True, **edited, **other}


def edit_floors(**other: Any) -> list[dict[str, Any]]:
    """Held-out images, and a tokenizer's reconstructions of them in the hole."""
    held_out, reconstructed = floors()
    pasted = {
        **EDIT,
        "source": "pasted",
        "tokenizer": "t0",
        "fd_classifier": 0.8,
        "psnr": 20.0,
        "feature_distance": 0.1,
    }
    return [held_out, {**reconstructed, **pasted, **other}]


def add_edits(path: Path, rows: Sequence[Mapping[str, Any]], *, grids: bool = False) -> Path:
    """Adds rows of edits to those of a run, or of a folder of evaluate.py's."""
    folder = add_rows(path / EDITING, rows)
    if grids:
        draw_grids(folder, (each for each in rows if "source" not in each))
    return folder


def make_run(
    path: Path, rows: Sequence[Mapping[str, Any]], *, depth: int = 4, done: bool = True, grids: bool = True
) -> Path:
    """Writes the folder of a run: config, record, results, and a grid of samples for each row."""
    path.mkdir(parents=True)
    first = rows[0]
    schedule = "".join(part.title() for part in first["schedule"].split("_"))
    steps = sorted({each["steps"] for each in rows})
    text = CONFIG.format(seed=first["seed"], schedule=schedule, steps=steps, depth=depth)
    (path / "config.yaml").write_text(text)
    record = {"fingerprint": path.name, "wandb_id": "id", "mvtm": {}, "measured": {"f0": ["p0"]} if done else {}}
    (path / "run.json").write_text(json.dumps(record))
    add_rows(path, rows)
    if grids:
        draw_grids(path, rows)
    return path


def add_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Adds rows to the results in a folder, made if it is absent: without a config it is one of evaluate.py's."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / RESULTS).open("a") as file:
        file.writelines(json.dumps(_sealed(each)) + "\n" for each in rows)
    return path


def write_code(path: Path, code: Mapping[str, Mapping[str, str]]) -> None:
    """The files of fingerprints of code, beside the results in a folder."""
    (path / CODE).write_text(json.dumps(code))


def draw_grids(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Noise where digits would be."""
    (path / GRIDS).mkdir()
    for each in rows:
        grid_path(path, each).write_bytes(grid_of_noise())


@cache
def grid_of_noise() -> bytes:
    """A PNG file of 10 x 12 blurred cells."""
    pixels = (np.random.default_rng(0).random((80, 96)) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((192, 160), Image.Resampling.BILINEAR).save(file, "PNG", compress_level=1)
    return file.getvalue()


def make_baseline(path: Path, rows: Sequence[Mapping[str, Any]], **sizes: int) -> Path:
    """Writes the folder of an autoregressive run, which has no schedule in its config."""
    path.mkdir(parents=True)
    text = CONFIG.format(seed=rows[0]["seed"], schedule="Cosine", steps=[], depth=4)
    text = "".join(line for line in text.splitlines(True) if not line.startswith(("schedule", "decode")))
    added = (
        "model: autoregressive\nautoregressive: {net: {depth: 4}, order: {_target_: Raster}}\ndecode: {top_k: null}\n"
    )
    (path / "config.yaml").write_text(text + added)
    recorded = {"tokens": 64, "transformer": 800_000, "tokenizer": 60_000} | sizes
    record = {"fingerprint": path.name, "autoregressive": {}, "sizes": recorded, "measured": {"f0": ["p0"]}}
    (path / "run.json").write_text(json.dumps(record))
    return add_rows(path, rows)


def make_sweep(
    folder: Path, schedules: Sequence[str] = SCHEDULES, seeds: Sequence[int] = (0, 1), steps: Sequence[int] = STEPS
) -> Path:
    """The main ablation: schedules by seeds, over T."""
    for schedule in schedules:
        for seed in seeds:
            make_run(folder / f"schedule_{schedule}+seed_{seed}", [row(schedule, seed, t) for t in steps])
    return folder


def _sealed(row):
    """With its checksum, which rows of earlier versions have not."""
    return {**row, "checksum": checksum(row)} if "code" in row else row


def make_everything(folder: Path) -> Path:
    """The main ablation, with choice temperatures, decoding schedules and guidance on its first seed, and held-out
    images beside all samples.
    """
    make_sweep(folder)
    for run in folder.iterdir():
        add_rows(run, floors())
    more: list[dict[str, Any]] = [row("cosine", 0, t, choice_temperature=c) for t in STEPS for c in (1.0, 2.0, 9.0)]
    more += [row("linear", 0, t, guidance=g) for t in STEPS for g in (0.5, 1.0, 2.0)]
    more += [row(a, 0, t, decode_schedule=b) for a in SCHEDULES for b in SCHEDULES if a != b for t in (4, 8)]
    for schedule in SCHEDULES:
        add_rows(folder / f"schedule_{schedule}+seed_0", (each for each in more if each["schedule"] == schedule))
    return folder
