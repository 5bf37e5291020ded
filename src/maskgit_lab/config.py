"""The schema of the configs in `conf/`: every key, its type and its default; anything else is rejected.

The dataclasses are registered with Hydra as `base_train` and `base_sample`; the YAML files fill them in. Nothing below
`commands` sees a config: constructors take plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass
from typing import Any, get_args, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.settings import Hardware, Optim, TokenizerLosses

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
class SampleDecodeConf:
    """How `sample.py` decodes; null means as the run does."""

    steps: int = 8
    schedule: str | None = None
    choice_temperature: float | None = None


@dataclass
class SampleConf:
    """`sample.py`."""

    checkpoint: str = MISSING
    out: str = MISSING
    classes: list[int] | None = None  # null: all of them
    n: int = 16  # for each class
    seed: int = 0
    batch_size: int = 128
    accelerator: str = "auto"
    decode: SampleDecodeConf = field(default_factory=SampleDecodeConf)


SCHEMAS: dict[str, type] = {"train": TrainConf, "sample": SampleConf}


def register() -> None:
    """Makes the schemas known to Hydra."""
    for verb, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"base_{verb}", node=schema)


def checked(cfg: DictConfig, schema: type) -> DictConfig:
    """The config if it fits its schema, also where an override with `+` or `~` went past Hydra's own check.

    Raises:
        OmegaConfBaseException: a key is unknown or missing.
    """
    fitted = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.to_container(cfg))
    assert isinstance(fitted, DictConfig)
    plain(fitted)  # raises for what is missing
    return fitted


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


def schema_keys(schema: type, prefix: str = "") -> list[str]:
    """The dotted keys of a schema, groups included."""
    keys = []
    for name, hint in get_type_hints(schema).items():
        keys.append(f"{prefix}{name}")
        for kind in (hint, *get_args(hint)):
            if is_dataclass(kind) and isinstance(kind, type):
                keys += schema_keys(kind, f"{prefix}{name}.")
    return keys


def check_sample(cfg: DictConfig) -> None:
    """The same for the config of `sample.py`."""
    for key in ("n", "batch_size", "decode.steps"):
        _at_least_one(cfg, key)
    _check(0 <= cfg.seed < 2**32, "seed", cfg.seed, "give a whole number from 0 to 4294967295")
    _check(cfg.classes is None or len(cfg.classes) > 0, "classes", "[]", "name a class, or leave it out for all")
    temperature = cfg.decode.choice_temperature
    _check(temperature is None or temperature >= 0, "decode.choice_temperature", temperature, "give 0 or more")


def check_train(cfg: DictConfig) -> None:
    """Raises a `UserError` for a value that the schema's types allow and that makes no sense."""
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
