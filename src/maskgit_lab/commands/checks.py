"""Values that the schema's types allow and that make no sense: each gets a sentence before anything is done."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from maskgit_lab.commands.saving import FORMS
from maskgit_lab.config import plain
from maskgit_lab.errors import UserError
from maskgit_lab.schema.parts import METRICS
from maskgit_lab.settings import flatten

EXTRACTORS = ("classifier", "inception", "vgg16", "dinov2", "resnet56_cifar10")
CHOICES = {
    "stage": ("tokenizer", "tokens", "mvtm", "all"),
    "logger.mode": ("auto", "online", "offline", "none"),
    "trainer.accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "trainer.precision": ("32-true", "16-mixed", "bf16-mixed"),
    "features.name": EXTRACTORS,
    "tokenizer.perceptual": ("vgg16", "resnet50", "none"),
    "mvtm.loss_on": ("masked", "all"),
}
OPTIONAL_CHOICES = {
    "features.name": EXTRACTORS,
    "precision_features": EXTRACTORS,
    "trainer.precision": CHOICES["trainer.precision"],
}
NOT_NEGATIVE = (
    "choice_temperature",
    "n_ops",
    "guidance",
    "weight_decay",
    "gradient_clip",
    "warmup_steps",
    "views",
    "workers",
)
SHARES = ("label_smoothing", "dropout", "label_dropout", "min_masking_rate")
WHOLE = ("seed", "size")
MOST_SAMPLES = 1_000_000
MOST_STEPS = 100_000
MOST = 100_000_000  # of any count of images or subsets: more is a slip of the keyboard
AT_LEAST_ONE = (
    *("eval.batch_size", "eval.splits", "eval.neighbours", "eval.nll_draws", "eval.picture_steps"),
    *("eval.picture_classes", "eval.picture_columns"),
    *("trainer.threads", "trainer.save_every_epochs", "trainer.validate_every_epochs"),
    *("trainer.devices", "trainer.num_nodes", "trainer.accumulate", "tokenizer.dead_codes.window"),
    *("eval.kid_subsets", "eval.kid_subset_size", "eval.reference_features"),
    *("tokens.shard_size", "tokens.batch_size", "max_images", "eval.n_samples", "tokenizer.train_size"),
)

EVALUATE_AT_LEAST_ONE = (
    *("n_samples", "batch_size", "splits", "neighbours", "kid_subsets", "kid_subset_size", "nll_draws"),
    *("reference_features", "max_images", "trainer.devices", "trainer.num_nodes", "trainer.threads"),
)


def check_sample(cfg: DictConfig) -> None:
    """Raises a `UserError` for a value of the config of `sample.py` that makes no sense."""
    for key in ("n", "batch_size", "decode.steps"):
        _at_least_one(cfg, key)
    _check(cfg.n <= MOST_SAMPLES, "n", cfg.n, f"give at most {MOST_SAMPLES}")
    _check_numbers(cfg)
    _check(cfg.classes is None or len(cfg.classes) > 0, "classes", "[]", "name a class, or leave it out for all")
    once = cfg.classes is None or len(set(cfg.classes)) == len(cfg.classes)
    _check(once, "classes", list(cfg.classes or []), "name every class once")


def check_train(cfg: DictConfig) -> None:
    """Raises a `UserError` for a value of the config of `train.py` that makes no sense."""
    for key in CHOICES:
        _check_choice(cfg, key)
    if cfg.eval.precision_features is not None:
        _check_one_of(cfg, "eval.precision_features", EXTRACTORS)
    _check_numbers(cfg)
    check_steps("eval.steps", list(cfg.eval.steps))
    _check_metrics("eval.metrics", list(cfg.eval.metrics))
    threads, cores = cfg.trainer.threads, os.cpu_count() or 1
    _check(threads is None or threads <= cores, "trainer.threads", threads, f"this machine has {cores}")
    _check(cfg.run_dir != "", "run_dir", "", "name a folder, or leave it out")
    _check(cfg.cache_dir != "", "cache_dir", "", "name a folder, or leave it out")
    for key in AT_LEAST_ONE:
        _at_least_one(cfg, key)
    for key in ("tokenizer.optim", "mvtm.optim", "classifier.optim", "cas.optim"):
        if OmegaConf.select(cfg, key) is not None:
            _check_optim(cfg, key)


def check_evaluate(cfg: DictConfig) -> None:
    """Raises a `UserError` for a value of the config of `evaluate.py` that makes no sense."""
    _check_subject(cfg)
    for key in ("logger.mode", "trainer.accelerator"):
        _check_choice(cfg, key)
    for key, choices in OPTIONAL_CHOICES.items():
        if OmegaConf.select(cfg, key) is not None:
            _check_one_of(cfg, key, choices)
    _check_numbers(cfg, null_is_default=True)
    _check_lists(cfg)
    for key in EVALUATE_AT_LEAST_ONE:
        _at_least_one(cfg, key)
    for key in ("n_samples", "kid_subset_size"):
        _check(cfg[key] is None or cfg[key] >= 2, key, cfg[key], "give at least 2")
    _check(cfg.cache_dir != "", "cache_dir", "", "name a folder, or leave it out")
    for key in ("classifier.optim", "cas.optim"):
        if OmegaConf.select(cfg, key) is not None:
            _check_optim(cfg, key)


def _check_subject(cfg: DictConfig) -> None:
    if (cfg.checkpoint is None) == (cfg.samples is None):
        raise UserError("give either checkpoint=RUN_DIR, or samples=FOLDER_OR_NPZ with reference=FOLDER_OR_NPZ")
    if cfg.samples is not None and cfg.reference is None:
        raise UserError("samples needs a reference: give reference=FOLDER_OR_NPZ, or data=NAME and reference=train")


def _check_lists(cfg: DictConfig) -> None:
    if cfg.decode.steps is not None:
        check_steps("decode.steps", list(cfg.decode.steps))
    if cfg.metrics is not None:
        _check_metrics("metrics", list(cfg.metrics))
    unknown = [form for form in cfg.save if form not in FORMS]
    _check(not unknown, "save", f"[{','.join(cfg.save)}]", f"choose of {', '.join(FORMS)}")


def _check_choice(cfg: DictConfig, key: str) -> None:
    _check_one_of(cfg, key, CHOICES[key])


def _check_one_of(cfg: DictConfig, key: str, choices: Sequence[str]) -> None:
    value = OmegaConf.select(cfg, key)
    _check(value in choices, key, value, f"choose one of {', '.join(choices)}")


def _check_metrics(key: str, metrics: list[str]) -> None:
    unknown = [metric for metric in metrics if metric not in METRICS]
    said = f"[{','.join(metrics)}]"
    _check(bool(metrics) and not unknown, key, said, f"choose of {', '.join(METRICS)}")
    _check(len(set(metrics)) == len(metrics), key, said, "name every metric once")


def _check_numbers(cfg: DictConfig, null_is_default: bool = False) -> None:
    """Every number of the config that has a range, whatever group it is in."""
    for key, value in flatten(plain(cfg)).items():
        if value is not None or not null_is_default:
            _check_number(key, value)


def _check_number(key: str, value: Any) -> None:
    name = key.rpartition(".")[2]
    if name in (*SHARES, *WHOLE):
        fine = isinstance(value, int if name in WHOLE else int | float) and not isinstance(value, bool)
        _check(fine, key, value, "give a whole number" if name in WHOLE else "give a number")
    if isinstance(value, float):
        _check(math.isfinite(value), key, value, "give a finite number")
    if name == "seed":
        _check(0 <= value < 2**32, key, value, "give a whole number from 0 to 4294967295")
    if name in NOT_NEGATIVE or ".losses." in key:
        _check(value is None or value >= 0, key, value, "give a number that is not negative")
    if name in SHARES:
        _check(0 <= value < 1, key, value, "give a number from 0 to below 1")
    if name == "entropy_temperature":
        _check(value > 0, key, value, "give a positive number")
    if key.endswith("augment.magnitude"):
        _check(0 <= value <= 30, key, value, "give a whole number from 0 to 30")


def _check_optim(cfg: DictConfig, key: str) -> None:
    _at_least_one(cfg, f"{key}.epochs")
    _at_least_one(cfg, f"{key}.batch_size")
    _at_least_one(cfg, f"{key}.max_steps")
    optim = OmegaConf.select(cfg, key)
    _check(optim.lr > 0, f"{key}.lr", optim.lr, "give a positive number")
    _check(0 <= optim.ema_decay < 1, f"{key}.ema_decay", optim.ema_decay, "give a number from 0 to below 1")
    _check(optim.decay in ("none", "cosine"), f"{key}.decay", optim.decay, "choose none or cosine")
    fine = len(optim.betas) == 2 and all(0 <= beta < 1 for beta in optim.betas)
    _check(fine, f"{key}.betas", list(optim.betas), "give two numbers from 0 to below 1")


def check_steps(key: str, steps: list[int]) -> None:
    """Raises a `UserError` unless `steps` is a list of different numbers of at least 1."""
    said = f"[{','.join(map(str, steps))}]"
    _check(len(steps) > 0, key, said, "name at least one number of decoding steps, such as [8]")
    _check(all(t >= 1 for t in steps), key, said, "decoding takes at least 1 step, so every number has to be 1 or more")
    _check(len(set(steps)) == len(steps), key, said, "name every number of steps once")
    _check(max(steps) <= MOST_STEPS, key, said, f"give at most {MOST_STEPS}")


def _at_least_one(cfg: DictConfig, key: str) -> None:
    value = OmegaConf.select(cfg, key)
    _check(value is None or value >= 1, key, value, "give a whole number of at least 1")
    _check(value is None or value <= MOST, key, value, f"give at most {MOST}")


def _check(fine: bool, key: str, value: Any, advice: str) -> None:
    if not fine:
        raise UserError(f"{key}={value} is not possible: {advice}")
