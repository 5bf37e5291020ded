"""The schema of the configs in `conf/`: every key, its type and its default; anything else is rejected.

The dataclasses are registered with Hydra as `base_train` and `base_sample`; the YAML files fill them in. Nothing below
`commands` sees a config: constructors take plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.settings import DeadCodes, Hardware, MVTMLoss, Optim, TokenizerLosses

# Settings that say where and how a run is carried out; of these, only the precision belongs to what a run is.
PLACE_KEYS = ("run_dir", "cache_dir", "stage", "logger", "trainer", "sweep", "sweeps", "wait")

METRICS = ("fid", "sfid", "kid", "inception_score", "precision_recall", "nll", "cas")


@dataclass
class TokenizerConf:
    """A VQGAN and its training, or the weights of one that is trained."""

    net: dict[str, Any] = MISSING  # with _target_
    weights: str | None = MISSING  # a safetensors file; null: it is trained
    train_size: int | None = None  # pixels of the images that it is trained on; null: as the data are
    discriminator: dict[str, Any] = MISSING  # with _target_
    perceptual: str = "vgg16"  # vgg16 | resnet50 | none
    perceptual_weights: str | None = None  # a torchvision state dict; null downloads it; random: for tries
    losses: TokenizerLosses = field(default_factory=TokenizerLosses)
    dead_codes: DeadCodes = field(default_factory=DeadCodes)
    optim: Optim = MISSING
    seed: int = 0


@dataclass
class TokensConf:
    """The token cache."""

    views: int = 1  # augmented views of each training image; 0: the images as they are evaluated
    shard_size: int = 8192  # images of a shard
    batch_size: int = 128  # images encoded at once
    path: str | None = None  # a finished cache made elsewhere; null: made, or found in cache_dir


@dataclass
class MVTMConf(MVTMLoss):
    """The bidirectional transformer and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    weights: str | None = None  # a safetensors file to start from; null: fresh weights
    optim: Optim = MISSING


@dataclass
class DecodeConf:
    """How samples are decoded."""

    schedule: str | None = None  # null: the one the model was trained with
    choice_temperature: float = 4.5
    guidance: float = 0.0  # of classifier-free guidance; 0, as in the paper, is none


@dataclass
class AugmentConf:
    """RandAugment of the images that a classifier is trained on."""

    n_ops: int = 0  # operations on each view; 0: the views of the data as they are
    magnitude: int = 9  # of each, 0 to 30


@dataclass
class ClassifierConf:
    """A classifier and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    augment: AugmentConf = field(default_factory=AugmentConf)
    label_smoothing: float = 0.0
    optim: Optim = MISSING
    seed: int = 0


@dataclass
class FeaturesConf:
    """The network whose features and class probabilities the metrics use."""

    name: str = MISSING
    weights: str | None = None  # null downloads them, where that can be


@dataclass
class EvalConf:
    """What is measured after training."""

    steps: list[int] = MISSING
    metrics: list[str] = field(default_factory=lambda: list(METRICS))
    batch_size: int | None = None  # null: as many images as fit the memory at hand
    n_samples: int | None = None  # for each T; null: one for each training image and its class
    reference: str = "train"  # train | test, of the data; a folder of images; an npz file, such as ADM's
    reference_features: int = 50_000  # real images whose features are kept, for precision, recall and KID
    precision_features: str | None = None  # another extractor for precision and recall: vgg16, as in the paper
    precision_weights: str | None = None  # its weights
    splits: int = 1  # of the inception score
    neighbours: int = 3  # k of precision and recall
    kid_subsets: int = 100
    kid_subset_size: int = 1000
    nll_draws: int = 8  # masks drawn for each held-out image
    picture_steps: int = 8  # T of the sample and filling grids
    picture_classes: int = 10  # rows of the grids: the first classes
    picture_columns: int = 12  # samples of each


@dataclass
class LoggerConf:
    """Weights & Biases."""

    mode: str = "auto"  # auto | online | offline | none
    project: str = "maskgit-lab"
    entity: str | None = None
    group: str | None = None


@dataclass
class SweepConf:
    """Several jobs of one command; `sweeps/` has those of the paper."""

    name: str | None = None  # of the folder of logs and of the W&B group; null: after the settings that are swept
    verb: str | None = None  # the command that it is for: train | evaluate
    params: dict[str, Any] = field(default_factory=dict)  # settings and their values; a job for each combination
    seeds: list[int] = field(default_factory=lambda: [0])
    runs: str | None = None  # of evaluate.py: every trained run in this folder is a checkpoint


@dataclass
class TrainConf:
    """`train.py`."""

    name: str = MISSING
    stage: str = "all"
    seed: int = 0
    run_dir: str | None = None
    cache_dir: str = "outputs/cache"
    max_images: int | None = None  # of each split, spread evenly; null: all
    wait: bool = False  # for another command that works in the same folder, instead of stopping
    sweep: SweepConf = field(default_factory=SweepConf)
    data: dict[str, Any] = MISSING  # with _target_
    tokenizer: TokenizerConf = field(default_factory=TokenizerConf)
    tokens: TokensConf = field(default_factory=TokensConf)
    mvtm: MVTMConf = field(default_factory=MVTMConf)
    schedule: dict[str, Any] = MISSING  # with _target_
    decode: DecodeConf = field(default_factory=DecodeConf)
    trainer: Hardware = field(default_factory=Hardware)
    logger: LoggerConf = field(default_factory=LoggerConf)
    features: FeaturesConf = field(default_factory=FeaturesConf)
    classifier: ClassifierConf = field(default_factory=ClassifierConf)  # of features=classifier
    cas: ClassifierConf | None = None  # trained on samples alone; null: no CAS
    eval: EvalConf = field(default_factory=EvalConf)


@dataclass
class SampleDecodeConf:
    """How `sample.py` decodes; null means as the run does."""

    steps: int = 8
    schedule: str | None = None
    choice_temperature: float | None = None
    guidance: float | None = None


@dataclass
class SampleConf:
    """`sample.py`."""

    checkpoint: str = MISSING
    tokenizer: dict[str, Any] = field(default_factory=lambda: {"weights": None})  # for a checkpoint that is a file
    out: str = MISSING
    classes: list[int] | None = None  # null: all of them
    n: int = 16  # for each class
    seed: int = 0
    batch_size: int = 128
    accelerator: str = "auto"
    decode: SampleDecodeConf = field(default_factory=SampleDecodeConf)


@dataclass
class EvaluateHardware(Hardware):
    """On what to evaluate."""

    precision: str | None = None  # type: ignore[assignment]  # of classifiers; null: the run's, or 32-true


@dataclass
class EvaluateDecodeConf:
    """How `evaluate.py` decodes; null means as the run does."""

    steps: list[int] | None = None
    schedule: str | None = None
    choice_temperature: float | None = None
    guidance: float | None = None


@dataclass
class EvaluateConf:
    """`evaluate.py`; null means as the run does."""

    checkpoint: str | None = None
    tokenizer: dict[str, Any] = field(default_factory=lambda: {"weights": None})  # for a checkpoint that is a file
    samples: str | None = None  # a folder or an npz file of images, in place of a checkpoint
    reference: str | None = None
    decode: EvaluateDecodeConf = field(default_factory=EvaluateDecodeConf)
    n_samples: int | None = None
    metrics: list[str] | None = None
    save: list[str] = field(default_factory=list)  # npz | png
    out: str | None = None  # the folder of the results; null: the run's
    cache_dir: str = "outputs/cache"
    max_images: int | None = None
    wait: bool = False
    sweep: SweepConf = field(default_factory=SweepConf)
    seed: int | None = None
    batch_size: int | None = None  # null: as many images as fit the memory at hand
    splits: int | None = None
    neighbours: int | None = None
    kid_subsets: int | None = None
    kid_subset_size: int | None = None
    nll_draws: int | None = None
    reference_features: int | None = None
    precision_features: str | None = None
    precision_weights: str | None = None
    data: dict[str, Any] | None = None
    features: FeaturesConf | None = None
    classifier: ClassifierConf | None = None
    cas: ClassifierConf | None = None
    trainer: EvaluateHardware = field(default_factory=EvaluateHardware)
    logger: LoggerConf = field(default_factory=LoggerConf)


@dataclass
class ExportConf:
    """`export.py`."""

    checkpoint: str = MISSING
    out: str = MISSING


@dataclass
class WandbReportConf:
    """The report as a W&B Report."""

    report: bool = False
    project: str = "maskgit-lab"
    entity: str | None = None
    group: str | None = None  # of the runs; null: all of the project


@dataclass
class ReportConf:
    """`report.py`."""

    runs: str = MISSING
    out: str = "outputs/report"
    wandb: WandbReportConf = field(default_factory=WandbReportConf)
    bootstrap: int = 2000  # resamples over seeds
    seed: int = 0  # of the resamples


SCHEMAS: dict[str, type] = {
    "train": TrainConf,
    "evaluate": EvaluateConf,
    "sample": SampleConf,
    "export": ExportConf,
    "report": ReportConf,
}


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


def without_hydra(cfg: DictConfig) -> DictConfig:
    """A composed config without Hydra's own settings."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def register_sweeps(folder: Path) -> None:
    """Makes the files of a folder known to Hydra as the options of `sweeps=`.

    Raises:
        OmegaConfBaseException, yaml.YAMLError: one of them cannot be read.
    """
    for file in sorted(folder.glob("*.yaml")):
        ConfigStore.instance().store(group="sweeps", name=file.stem, node=OmegaConf.load(file), package="_global_")


def plain(node: Any) -> Any:
    """A config as plain dictionaries, lists and numbers, with its interpolations resolved."""
    return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)


def settings(cfg: DictConfig) -> dict[str, Any]:
    """What a run's results depend on: its config without the keys that only say where it runs."""
    values = plain(cfg)
    told = {key: value for key, value in values.items() if key not in PLACE_KEYS}
    return told | {"precision": values["trainer"]["precision"]}


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
