"""The schemas of the config groups. Nothing below `commands` sees a config: constructors take plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from maskgit_lab.settings import DeadCodes, MVTMLoss, Optim, TokenizerLosses

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
