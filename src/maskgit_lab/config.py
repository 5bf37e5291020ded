"""The schema of the configs in `conf/`: every key, its type and its default; anything else is rejected.

The dataclasses are registered with Hydra as `base_train` and `base_sample`; the YAML files fill them in. Nothing below
`commands` sees a config: constructors take plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.settings import Hardware, Optim, TokenizerLosses

STAGES = ("tokenizer", "mvtm", "all")
LOGGER_MODES = ("auto", "online", "offline", "none")

# Settings that say where and how a run is carried out: two runs that differ only in these give the same results.
PLACE_KEYS = ("run_dir", "cache_dir", "stage", "logger", "trainer")


@dataclass
class TokenizerConf:
    """A VQGAN and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    discriminator: dict[str, Any] = MISSING  # with _target_
    perceptual: dict[str, Any] = MISSING  # with _target_
    losses: TokenizerLosses = field(default_factory=TokenizerLosses)
    optim: Optim = MISSING
    seed: int = 0


@dataclass
class MVTMConf:
    """The bidirectional transformer and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    label_smoothing: float = 0.1
    optim: Optim = MISSING


@dataclass
class DecodeConf:
    """How samples are decoded."""

    schedule: str | None = None  # null: the one the model was trained with
    choice_temperature: float = 4.5


@dataclass
class ClassifierConf:
    """A classifier and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    label_smoothing: float = 0.0
    optim: Optim = MISSING
    seed: int = 0


@dataclass
class FeaturesConf:
    """The network whose features and class probabilities the metrics use."""

    name: str = MISSING
    classifier: ClassifierConf = field(default_factory=ClassifierConf)


@dataclass
class EvalConf:
    """What is measured after training."""

    steps: list[int] = MISSING
    batch_size: int = MISSING
    splits: int = 1  # of the inception score
    neighbours: int = 3  # k of precision and recall
    nll_draws: int = 8  # masks drawn for each held-out image
    cas: ClassifierConf | None = None  # null: no CAS
    picture_steps: int = 8  # T of the sample and filling grids


@dataclass
class LoggerConf:
    """Weights & Biases."""

    mode: str = "auto"  # auto | online | offline | none
    project: str = "maskgit-lab"
    entity: str | None = None
    group: str | None = None


@dataclass
class TrainConf:
    """`train.py`."""

    name: str = MISSING
    stage: str = "all"
    seed: int = 0
    run_dir: str | None = None
    cache_dir: str = "outputs/cache"
    data: dict[str, Any] = MISSING  # with _target_
    tokenizer: TokenizerConf = field(default_factory=TokenizerConf)
    mvtm: MVTMConf = field(default_factory=MVTMConf)
    schedule: dict[str, Any] = MISSING  # with _target_
    decode: DecodeConf = field(default_factory=DecodeConf)
    trainer: Hardware = field(default_factory=Hardware)
    logger: LoggerConf = field(default_factory=LoggerConf)
    features: FeaturesConf = field(default_factory=FeaturesConf)
    eval: EvalConf = field(default_factory=EvalConf)


@dataclass
class SampleConf:
    """`sample.py`."""

    checkpoint: str = MISSING
    out: str = MISSING
    classes: list[int] | None = None  # null: all of them
    n: int = 16  # for each class
    steps: int = 8
    choice_temperature: float | None = None  # null: the run's
    schedule: str | None = None  # null: the run's
    seed: int = 0
    batch_size: int = 128
    accelerator: str = "auto"


def register() -> None:
    """Makes the schema known to Hydra."""
    store = ConfigStore.instance()
    store.store(name="base_train", node=TrainConf)
    store.store(name="base_sample", node=SampleConf)


def plain(node: Any) -> Any:
    """A config as plain dictionaries, lists and numbers, with its interpolations resolved."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def settings(cfg: DictConfig) -> dict[str, Any]:
    """What a run's results depend on: its config without the keys that only say where it runs."""
    return {key: value for key, value in plain(cfg).items() if key not in PLACE_KEYS}


def run_fingerprint(cfg: DictConfig) -> str:
    """The same for the same settings."""
    return fingerprint(settings(cfg))


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return flat


def check_train(cfg: DictConfig) -> None:
    """Raises a `UserError` for a value that the schema's types allow and that makes no sense."""
    _check(cfg.stage in STAGES, "stage", cfg.stage, f"choose one of {', '.join(STAGES)}")
    _check(cfg.logger.mode in LOGGER_MODES, "logger.mode", cfg.logger.mode, f"choose one of {', '.join(LOGGER_MODES)}")
    check_steps("eval.steps", cfg.eval.steps)
    _check(0 <= cfg.seed < 2**32, "seed", cfg.seed, "give a whole number from 0 to 4294967295")
    temperature = cfg.decode.choice_temperature
    _check(temperature >= 0, "decode.choice_temperature", temperature, "give a number that is not negative")
    for key in ("eval.batch_size", "eval.splits", "eval.neighbours", "eval.nll_draws", "eval.picture_steps"):
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


def check_steps(key: str, steps: list[int]) -> None:
    """Raises a `UserError` unless `steps` is a list of different numbers of at least 1."""
    said = f"[{','.join(map(str, steps))}]"
    _check(len(steps) > 0, key, said, "name at least one number of decoding steps, such as [8]")
    _check(all(t >= 1 for t in steps), key, said, "decoding takes at least 1 step, so every number has to be 1 or more")
    _check(len(set(steps)) == len(steps), key, said, "name every number of steps once")


def _at_least_one(cfg: DictConfig, key: str) -> None:
    value = OmegaConf.select(cfg, key)
    _check(value >= 1, key, value, "give a whole number of at least 1")


def _check(fine: bool, key: str, value: Any, advice: str) -> None:
    if not fine:
        raise UserError(f"{key}={value} is not possible: {advice}")
