"""The settings of each command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Annotated, Any

from pydantic.dataclasses import dataclass

from maskgit_lab.errors import UserError
from maskgit_lab.paths import path_of, shown
from maskgit_lab.settings.fields import (
    MISSING,
    STRICT,
    Amounts,
    AtOnce,
    Batches,
    FolderName,
    Int,
    PathText,
    Precision,
    Resamples,
    Samples,
    Seed,
    Several,
    check_step_count,
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
from maskgit_lab.settings.measured_edits import EditingConf, Task

MASKGIT, AUTOREGRESSIVE = "maskgit", "autoregressive"
MODELS = {MASKGIT: "mvtm", AUTOREGRESSIVE: "autoregressive"}  # what `model` may be, and the stage that trains it
UNUSED = "unused"  # what no run needs


@dataclass(config=STRICT)
class CommonConf:
    """What training and evaluation share."""

    seed: Seed = 0  # of the transformer, its masks and the samples
    cache_dir: PathText = "outputs/cache"  # what runs share
    max_images: Several | None = None  # of each split, spread evenly over it, for tries; null: all
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

    name: FolderName | None = None  # of the folder of runs in outputs/; null: the name of the data
    model: Annotated[str, one_of(*MODELS)] = MASKGIT  # what is trained on the codes
    stage: Annotated[str, one_of("tokenizer", "tokens", *MODELS.values(), "all")] = "all"
    run_dir: PathText | None = None  # null: outputs/<data>/<overrides>
    optimized_metric: str | None = None  # a key of results.jsonl, which hydra/sweeper=optuna optimizes
    tokenizer: TokenizerConf = field(default_factory=TokenizerConf)
    tokens: TokensConf = field(default_factory=TokensConf)
    mvtm: MVTMConf = field(default_factory=MVTMConf)  # of model=maskgit
    autoregressive: AutoregressiveConf | None = None  # of model=autoregressive
    schedule: dict[str, Any] = MISSING  # with _target_
    callbacks: dict[str, Any] = field(default_factory=dict)  # Lightning's, by name, each with _target_
    ckpt_path: PathText | None = None  # where the transformer begins: a run, a checkpoint, or a safetensors file
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
                "continues with its whole training state (optimizer, learning rate, epochs done)"
            )
        if self.ckpt_path is None and self.ckpt_mode is not None:
            raise UserError(
                f"ckpt_mode={self.ckpt_mode} needs ckpt_path: give a run, a checkpoint or a file, or neither"
            )
        if self.ckpt_path is not None and self.transformer.weights is not None:
            raise UserError(f"ckpt_path and {self.part}.weights both name weights to start from: give one of them")

    @property
    def part(self) -> str:
        """The stage that trains a transformer on the codes, which is the group of its settings too."""
        return MODELS[self.model]

    @property
    def transformer(self) -> MVTMConf | AutoregressiveConf:
        """The transformer that is trained on the codes, and its training."""
        return self.mvtm if self.model == MASKGIT or self.autoregressive is None else self.autoregressive


def check_single_steps(decode: Mapping[str, Any]) -> None:
    """Raises a `UserError` unless the settings of the group `decode` have one T, or none."""
    steps = decode.get("steps")
    try:
        if steps is not None:
            check_step_count(steps)
    except ValueError as error:
        raise UserError(f"decode.steps={shown(steps)} is not possible: {error}") from error


def tokenizer_file(tokenizer: Mapping[str, Any]) -> str | None:
    """The file that `tokenizer.weights` names, for a checkpoint that is a file.

    Raises:
        UserError: it is not a path, or a setting is given that tokenizers do not have.
    """
    # What belongs to a whole group, such as tokenizer=released256, is in the file too.
    known = {field.name for field in fields(TokenizerConf)} if "net" in tokenizer else {"weights"}
    if unknown := [key for key in tokenizer if key not in known]:
        raise UserError(f"tokenizer.{unknown[0]}: there is no such setting")
    weights = tokenizer.get("weights")
    return None if weights is None else str(path_of(weights, "tokenizer.weights"))


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

    checkpoint: PathText | None = None  # the folder of a run, or a transformer's safetensors file
    tokenizer: dict[str, Any] = field(default_factory=dict)  # weights: its file, where checkpoint is a file
    samples: PathText | None = None  # in place of a checkpoint: a folder of images, or an npz file with arr_0
    save: Annotated[list[str], rule(lambda forms: set(forms) <= {"npz", "png"}, "choose from npz, png")] = field(
        default_factory=list  # npz: ADM's sample file; png: a file for each image
    )
    out: PathText | None = None  # the folder of the results; null: the run's; for samples: none
    optimized_metric: str | None = None  # a key of results.jsonl, which hydra/sweeper=optuna optimizes
    choose_temperature: Amounts | None = None  # choice temperatures, of which the best is chosen; null: none is
    runtime: Batches | None = None  # batch sizes at which decoding is timed, and nothing else; null: it is not
    task: Task | None = None  # edits of held-out images are measured in place of samples; null: samples are
    hole: Any = None  # of the edits: a name such as center50, or a box [x0,y0,x1,y1] in pixels; null: the task's own
    editing: EditingConf = field(default_factory=EditingConf)
    seed: Seed | None = None  # of the samples, and of the masks of the NLL; null: the run's
    cache_dir: PathText | None = None  # null: the run's; outputs/cache without a run
    max_images: Several | None = None  # of each split of the data
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

    checkpoint: PathText = MISSING  # the folder of a run, or a transformer's safetensors file
    out: PathText = MISSING  # a new folder
    cache_dir: PathText | None = None  # null: the run's
    tokenizer: dict[str, Any] = field(default_factory=dict)  # weights: its file, where checkpoint is a file
    classes: (
        Annotated[
            list[Int],
            rule(bool, "name a class, or leave it out for all"),
            rule(lambda classes: len(set(classes)) == len(classes), "name every class once"),
        ]
        | None
    ) = None  # null: all of them
    n: Samples = 16  # for each class
    seed: Seed = 0
    batch_size: AtOnce = 128
    accelerator: str = "auto"
    decode: dict[str, Any] = field(default_factory=dict)  # replaces the run's own; steps: one T, by default 8

    def __post_init__(self) -> None:
        """Raises a `UserError` for several T."""
        check_single_steps(self.decode)


@dataclass(config=STRICT)
class ExportConf:
    """`export.py`."""

    checkpoint: PathText = MISSING  # the folder of a run
    out: PathText = MISSING  # a new folder
    cache_dir: PathText | None = None  # null: the run's


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

    runs: PathText = MISSING  # a folder, with runs at any depth
    out: PathText = "outputs/report"
    where: str | None = None  # KEY=VALUE,KEY=VALUE: only the rows that have these values; null: all
    wandb: WandbReportConf = field(default_factory=WandbReportConf)
    bootstrap: Resamples = 2000  # resamples over seeds
    seed: Annotated[Int, rule(lambda n: n >= 0, "give a whole number of at least 0")] = 0  # of the resamples


@dataclass(config=STRICT)
class CleanConf:
    """`clean.py`. A list may be a single path too."""

    runs: Any = field(default_factory=lambda: ["outputs"])  # folders with runs at any depth
    cache_dir: PathText = "outputs/cache"  # what the runs share
    remove: Any = None  # unused, or paths that the listing shows; null: it only lists

    def __post_init__(self) -> None:
        """Raises a `UserError` unless `runs` and `remove` are paths."""
        self.runs = _paths("runs", self.runs)
        self.remove = None if self.remove is None else _paths("remove", self.remove)
        if self.remove is not None and len(self.remove) > 1 and UNUSED in self.remove:
            raise UserError("remove=unused goes alone: name paths in another command")


def _paths(key: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"{key} is empty: name at least one path, or leave it out")
    if wrong := [each for each in values if not isinstance(each, str)]:
        is_number = isinstance(wrong[0], int | float) and not isinstance(wrong[0], bool)
        instead = f"write a name that is a number as ./{wrong[0]}" if is_number else "give a path, or a list of paths"
        raise UserError(f"{key}={shown(value)} is not a path: {instead}")
    return [str(path_of(each, key)) for each in values]
