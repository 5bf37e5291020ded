"""The settings of each command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Annotated, Any

from pydantic.dataclasses import dataclass

from maskgit_lab.errors import UserError
from maskgit_lab.settings.fields import (
    MISSING,
    MOST_STEPS,
    STRICT,
    Amounts,
    Batches,
    Count,
    Folder,
    Precision,
    Seed,
    at_most,
    one_of,
    rule,
)
from maskgit_lab.settings.groups import (
    AutoregressiveConf,
    ClassifierConf,
    EvalConf,
    FeaturesConf,
    Hardware,
    LoggerConf,
    MVTMConf,
    SweepConf,
    TokenizerConf,
    TokensConf,
)

MOST_SAMPLES = 1_000_000
MOST_RESAMPLES = 1_000_000
MASKGIT, AUTOREGRESSIVE = "maskgit", "autoregressive"
MODELS = {MASKGIT: "mvtm", AUTOREGRESSIVE: "autoregressive"}  # what `model` may be, and the stage that trains it
UNUSED = "unused"  # what no run needs


@dataclass(config=STRICT)
class CommonConf:
    """What training and evaluation share."""

    seed: Seed = 0  # of the transformer, its masks and the samples
    cache_dir: Folder = "outputs/cache"  # what runs share
    max_images: Count | None = None  # of each split, spread evenly over it, for tries; null: all
    wait: bool = False  # for another command that works in the same folder, instead of stopping
    rerun: bool = False  # trains and measures again what other code made, beside the rows that are there
    reuse: bool = False  # takes what other code made as it is, which the rows then say
    debug: str | None = None  # the name of a config for tries, which rows have too
    sweep: SweepConf = field(default_factory=SweepConf)
    data: dict[str, Any] | None = None  # with _target_
    # With _target_, steps (numbers T), schedule (a name; null: the one of the training) and the decoder's own settings.
    decode: dict[str, Any] = field(default_factory=dict)
    features: FeaturesConf = field(default_factory=FeaturesConf)
    classifier: ClassifierConf | None = None  # of features=classifier
    cas: ClassifierConf | None = None  # trained on samples alone; null: no CAS
    eval: EvalConf = field(default_factory=EvalConf)
    trainer: Hardware = field(default_factory=Hardware)
    logger: LoggerConf = field(default_factory=LoggerConf)

    @property
    def steps(self) -> list[int]:
        """The numbers T of decoding steps."""
        return list(self.decode.get("steps") or [])


@dataclass(config=STRICT)
class TrainConf(CommonConf):
    """`train.py`."""

    name: Folder | None = None  # of the folder of runs in outputs/; null: the name of the data
    model: Annotated[str, one_of(*MODELS)] = MASKGIT  # what is trained on the codes
    stage: Annotated[str, one_of("tokenizer", "tokens", *MODELS.values(), "all")] = "all"
    run_dir: Folder | None = None  # null: outputs/<data>/<overrides>
    optimized_metric: str | None = None  # a key of results.jsonl, which hydra/sweeper=optuna optimizes
    tokenizer: TokenizerConf = field(default_factory=TokenizerConf)
    tokens: TokensConf = field(default_factory=TokensConf)
    mvtm: MVTMConf = field(default_factory=MVTMConf)  # of model=maskgit
    autoregressive: AutoregressiveConf | None = None  # of model=autoregressive
    schedule: dict[str, Any] = MISSING  # with _target_
    callbacks: dict[str, Any] = field(default_factory=dict)  # Lightning's, by name, each with _target_
    ckpt_path: Folder | None = None  # where the transformer begins: a run, a checkpoint, or a safetensors file
    ckpt_mode: Annotated[str, one_of("weights", "resume")] | None = None  # needed with ckpt_path

    def __post_init__(self) -> None:
        """Raises a `UserError` unless it is clear what is trained, and where that begins."""
        if self.model == AUTOREGRESSIVE and self.autoregressive is None:  # before anything asks for them
            raise UserError("model=autoregressive needs its settings: give autoregressive=like_mvtm")
        if self.stage in MODELS.values() and self.stage != self.part:
            raise UserError(f"stage={self.stage} does not belong to model={self.model}: give stage={self.part}")
        if self.ckpt_path is not None and self.ckpt_mode is None:
            raise UserError(
                f"ckpt_path={self.ckpt_path} needs ckpt_mode: weights starts a new training from its weights, resume "
                "goes on with its whole training state (optimizer, learning rate, epochs done)"
            )
        if self.ckpt_path is None and self.ckpt_mode is not None:
            raise UserError(
                f"ckpt_mode={self.ckpt_mode} needs ckpt_path: give a run, a checkpoint or a file, or neither"
            )
        if self.ckpt_path is not None and self.transformer.weights is not None:
            raise UserError(f"ckpt_path and {self.part}.weights both name weights to begin with: give one of them")

    @property
    def part(self) -> str:
        """The stage that trains a transformer on the codes, which is the group of its settings too."""
        return MODELS[self.model]

    @property
    def transformer(self) -> MVTMConf | AutoregressiveConf:
        """The transformer that is trained on the codes, and its training."""
        return self.mvtm if self.model == MASKGIT or self.autoregressive is None else self.autoregressive


def tokenizer_file(tokenizer: Mapping[str, Any]) -> str | None:
    """The file that `tokenizer.weights` names, for a checkpoint that is a file.

    Raises:
        UserError: it is not a path, or a setting is given that tokenizers do not have.
    """
    if unknown := [key for key in tokenizer if key not in {field.name for field in fields(TokenizerConf)}]:
        raise UserError(f"tokenizer.{unknown[0]}: there is no such setting")
    weights = tokenizer.get("weights")
    if weights is None or isinstance(weights, str):
        return weights
    raise UserError(f"tokenizer.weights={weights} is not a path: give the tokenizer's file")


@dataclass(config=STRICT)
class EvaluateHardware(Hardware):
    """On what to evaluate."""

    precision: Precision | None = None  # type: ignore[assignment]  # of classifiers; null: the run's, or 32-true

    def __post_init__(self) -> None:
        """Raises a `UserError` for flags of lightning.Trainer, which are for the training of a run."""
        if self.flags:
            raise UserError(f"trainer.{next(iter(self.flags))}: there is no such setting of evaluate.py: leave it out")


@dataclass(config=STRICT)
class EvaluateConf:
    """`evaluate.py`: what is given of data, decode, features, classifier, cas and eval replaces the run's own."""

    checkpoint: str | None = None  # the folder of a run, or a transformer's safetensors file
    tokenizer: dict[str, Any] = field(default_factory=dict)  # weights: its file, where checkpoint is a file
    samples: str | None = None  # in place of a checkpoint: a folder of images, or an npz file with arr_0
    save: Annotated[list[str], rule(lambda forms: set(forms) <= {"npz", "png"}, "choose of npz, png")] = field(
        default_factory=list  # npz: ADM's sample file; png: a file for each image
    )
    out: str | None = None  # the folder of the results; null: the run's; for samples: none
    optimized_metric: str | None = None  # a key of results.jsonl, which hydra/sweeper=optuna optimizes
    choose_temperature: Amounts | None = None  # choice temperatures, of which the best is chosen; null: none is
    runtime: Batches | None = None  # batch sizes at which decoding is timed, and nothing else; null: it is not
    seed: Seed | None = None  # of the samples, and of the masks of the NLL; null: the run's
    cache_dir: Folder | None = None  # null: the run's; outputs/cache without a run
    max_images: Count | None = None  # of each split of the data
    wait: bool = False
    rerun: bool = False  # measures again what other code measured, beside the rows that are there
    reuse: bool = False  # takes rows that other code measured as they are, which they then say
    sweep: SweepConf = field(default_factory=SweepConf)
    data: dict[str, Any] = field(default_factory=dict)
    decode: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    classifier: dict[str, Any] = field(default_factory=dict)
    cas: dict[str, Any] = field(default_factory=dict)
    eval: dict[str, Any] = field(default_factory=dict)
    trainer: EvaluateHardware = field(default_factory=EvaluateHardware)
    logger: LoggerConf = field(default_factory=LoggerConf)


@dataclass(config=STRICT)
class SampleConf:
    """`sample.py`."""

    checkpoint: str = MISSING  # the folder of a run, or a transformer's safetensors file
    out: str = MISSING  # a new folder
    cache_dir: Folder | None = None  # null: the run's
    tokenizer: dict[str, Any] = field(default_factory=dict)  # weights: its file, where checkpoint is a file
    classes: (
        Annotated[
            list[int],
            rule(bool, "name a class, or leave it out for all"),
            rule(lambda classes: len(set(classes)) == len(classes), "name every class once"),
        ]
        | None
    ) = None  # null: all of them
    n: Annotated[Count, at_most(MOST_SAMPLES)] = 16  # for each class
    seed: Seed = 0
    batch_size: Count = 128
    accelerator: str = "auto"
    decode: dict[str, Any] = field(default_factory=dict)  # replaces the run's own; steps: one T, by default 8

    def __post_init__(self) -> None:
        """Raises a `UserError` for several T."""
        steps = self.decode.get("steps")
        if steps is not None and (type(steps) is not int or not 1 <= steps <= MOST_STEPS):
            shown = f"[{','.join(map(str, steps))}]" if isinstance(steps, list) else steps
            raise UserError(
                f"decode.steps={shown} is not possible: give a whole number of at least 1 and at most {MOST_STEPS}"
            )


@dataclass(config=STRICT)
class ExportConf:
    """`export.py`."""

    checkpoint: str = MISSING  # the folder of a run
    out: str = MISSING  # a new folder
    cache_dir: Folder | None = None  # null: the run's


@dataclass(config=STRICT)
class WandbReportConf:
    """The report as a W&B Report."""

    report: bool = False
    project: str = "maskgit-lab"
    entity: str | None = None
    group: str | None = None  # of the runs; null: all of the project


@dataclass(config=STRICT)
class ReportConf:
    """`report.py`."""

    runs: str = MISSING  # a folder, with runs at any depth
    out: str = "outputs/report"
    where: str | None = None  # KEY=VALUE,KEY=VALUE: only the rows that have these values; null: all
    wandb: WandbReportConf = field(default_factory=WandbReportConf)
    bootstrap: Annotated[
        int, rule(lambda n: 1 <= n <= MOST_RESAMPLES, "give a number of resamples from 1 to a million")
    ] = 2000  # resamples over seeds
    seed: Annotated[int, rule(lambda n: n >= 0, "give a whole number of at least 0")] = 0  # of the resamples


@dataclass(config=STRICT)
class CleanConf:
    """`clean.py`. A list may be a single path too."""

    runs: Any = field(default_factory=lambda: ["outputs"])  # folders with runs at any depth
    cache_dir: Folder = "outputs/cache"  # what the runs share
    remove: Any = None  # unused, or paths that the listing shows; null: it only lists

    def __post_init__(self) -> None:
        """Raises a `UserError` unless `runs` and `remove` are paths."""
        self.runs = _paths("runs", self.runs)
        self.remove = None if self.remove is None else _paths("remove", self.remove)
        if self.remove is not None and len(self.remove) > 1 and UNUSED in self.remove:
            raise UserError("remove=unused goes alone: name paths in another command")


def _paths(key: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values or "" in values:
        raise UserError(f"{key} is empty: name at least one path, or leave it out")
    if wrong := [each for each in values if not isinstance(each, str)]:
        raise UserError(f"{key}={wrong[0]} is not a path: write a name that is a number as ./{wrong[0]}")
    return values
