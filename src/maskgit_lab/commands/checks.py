"""Values that the schema's types allow and that make no sense: each gets a sentence before anything is done."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from maskgit_lab.errors import UserError

CHOICES = {
    "stage": ("tokenizer", "mvtm", "all"),
    "logger.mode": ("auto", "online", "offline", "none"),
    "trainer.accelerator": ("auto", "cpu", "gpu", "cuda", "mps"),
    "trainer.precision": ("32-true", "16-mixed", "bf16-mixed"),
    "features.name": ("classifier",),
}
AT_LEAST_ONE = (
    *("eval.batch_size", "eval.splits", "eval.neighbours", "eval.nll_draws", "eval.picture_steps"),
    *("trainer.threads", "trainer.save_every_epochs", "trainer.validate_every_epochs"),
)


def check_sample(cfg: DictConfig) -> None:
    """Raises a `UserError` for a value of the config of `sample.py` that makes no sense."""
    for key in ("n", "batch_size", "decode.steps"):
        _at_least_one(cfg, key)
    _check(0 <= cfg.seed < 2**32, "seed", cfg.seed, "give a whole number from 0 to 4294967295")
    _check(cfg.classes is None or len(cfg.classes) > 0, "classes", "[]", "name a class, or leave it out for all")
    temperature = cfg.decode.choice_temperature
    _check(temperature is None or temperature >= 0, "decode.choice_temperature", temperature, "give 0 or more")


def check_train(cfg: DictConfig) -> None:
    """Raises a `UserError` for a value of the config of `train.py` that makes no sense."""
    for key, choices in CHOICES.items():
        value = OmegaConf.select(cfg, key)
        _check(value in choices, key, value, f"choose one of {', '.join(choices)}")
    check_steps("eval.steps", list(cfg.eval.steps))
    _check(0 <= cfg.seed < 2**32, "seed", cfg.seed, "give a whole number from 0 to 4294967295")
    temperature = cfg.decode.choice_temperature
    _check(temperature >= 0, "decode.choice_temperature", temperature, "give a number that is not negative")
    for key in AT_LEAST_ONE:
        _at_least_one(cfg, key)
    for key in ("tokenizer.optim", "mvtm.optim", "features.classifier.optim", "eval.cas.optim"):
        if OmegaConf.select(cfg, key) is not None:
            _check_optim(cfg, key)


def _check_optim(cfg: DictConfig, key: str) -> None:
    _at_least_one(cfg, f"{key}.epochs")
    _at_least_one(cfg, f"{key}.batch_size")
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


def _at_least_one(cfg: DictConfig, key: str) -> None:
    value = OmegaConf.select(cfg, key)
    _check(value is None or value >= 1, key, value, "give a whole number of at least 1")


def _check(fine: bool, key: str, value: Any, advice: str) -> None:
    if not fine:
        raise UserError(f"{key}={value} is not possible: {advice}")
