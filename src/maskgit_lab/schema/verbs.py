"""The schemas of the commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from maskgit_lab.schema.parts import (
    ClassifierConf,
    DecodeConf,
    EvalConf,
    FeaturesConf,
    LoggerConf,
    MVTMConf,
    SweepConf,
    TokenizerConf,
    TokensConf,
)
from maskgit_lab.settings import Hardware


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
