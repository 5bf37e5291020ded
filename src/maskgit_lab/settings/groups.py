"""The groups of settings that commands share."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from maskgit_lab.errors import UserError
from maskgit_lab.metrics import registry
from maskgit_lab.objects import PARTIAL, TARGET
from maskgit_lab.settings.fields import (
    MISSING,
    STRICT,
    Amount,
    Areas,
    AtOnce,
    Count,
    Draws,
    Extractor,
    HalfShare,
    Images,
    Int,
    Nodes,
    Operations,
    PathText,
    Pictured,
    Pixels,
    Positive,
    Precision,
    Ratios,
    Seed,
    Share,
    Steps,
    StepsPictured,
    Threads,
    Views,
    Whole,
    Workers,
    one_of,
    rule,
    some_of,
)
from maskgit_lab.settings.flags import check_flags


@dataclass(config=STRICT)
class Optim:
    """How one network is optimised."""

    epochs: Count
    batch_size: AtOnce  # images of one step, over all devices and accumulated batches
    lr: Positive
    max_steps: Count | None = None  # ends the training early; null: after the epochs
    # With _target_ and its own settings; it gets the parameters, lr and weight_decay.
    optimizer: dict[str, Any] = field(default_factory=lambda: {TARGET: "torch.optim.AdamW", PARTIAL: True})
    weight_decay: Amount = 0.0  # decoupled, on the weights of linear layers and convolutions only
    warmup_steps: Whole = 0  # linear, from 0 to lr
    decay: Annotated[str, one_of("none", "cosine")] = "none"  # of the learning rate after the warm-up, to 0 at the end
    # With _target_, in place of decay; in its settings `total_steps` is the number of steps after the warm-up, and
    # `total_steps/3` a third of it.
    scheduler: dict[str, Any] | None = field(default_factory=lambda: {TARGET: None})
    gradient_clip: Amount = 0.0  # largest gradient norm; 0 does not clip
    ema_decay: Share = 0.0  # of the weights that are evaluated; 0 keeps no average

    @property
    def own_scheduler(self) -> dict[str, Any] | None:
        """`scheduler` if it names a class; by default it names none, so that a command line can."""
        return self.scheduler if self.scheduler and self.scheduler.get(TARGET) is not None else None

    @property
    def duration(self) -> str:
        """How long the training is, in words."""
        return f"{self.epochs:,} epochs" if self.max_steps is None else f"{self.max_steps:,} steps"


@dataclass(config=STRICT)
class TokenizerLosses:
    """Weights of the tokenizer's losses, by default the paper's; 0 switches a loss off, with all that it needs."""

    pixel: Amount = 1.0
    codebook: Amount = 1.0
    commitment: Amount = 0.25
    entropy: Amount = 0.1
    entropy_temperature: Positive = 0.01
    adversarial: Amount = 0.1
    r1: Amount = 10.0
    perceptual: Amount = 0.0  # of tokenizer.perceptual, whose option brings the weight that fits it


@dataclass(config=STRICT)
class DeadCodes:
    """Codes that no image uses."""

    window: Count = 1000  # steps over which the use of each code is counted
    revive: bool = False  # at the end of each window, dead codes take the place of latents of the last batch


@dataclass(config=STRICT)
class TokenizerConf:
    """A VQGAN and its training, or the weights of one that is trained."""

    net: dict[str, Any] = MISSING  # with _target_
    weights: PathText | None = MISSING  # a safetensors file; null: it is trained
    train_size: Pixels | None = None  # pixels of the images that it is trained on; null: as the data are
    discriminator: dict[str, Any] = MISSING  # with _target_
    perceptual: dict[str, Any] | None = field(default_factory=lambda: {TARGET: None})  # with _target_
    perceptual_weights: PathText | None = None  # of its network, as torchvision has it; null downloads; random: a try
    losses: TokenizerLosses = field(default_factory=TokenizerLosses)
    dead_codes: DeadCodes = field(default_factory=DeadCodes)
    optim: Optim = MISSING
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Raises a `UserError` for the weight of a loss that there is not."""
        if self.losses.perceptual > 0 and self.own_perceptual is None:
            raise UserError(
                f"tokenizer.losses.perceptual={self.losses.perceptual} weighs no loss: give tokenizer/perceptual=lpips "
                "or resnet50, or set it to 0"
            )

    @property
    def own_perceptual(self) -> dict[str, Any] | None:
        """`perceptual` if it names a class; by default it names none, so that a command line can."""
        return self.perceptual if self.perceptual and self.perceptual.get(TARGET) is not None else None


@dataclass(config=STRICT)
class TokensConf:
    """The token cache."""

    # Augmented views of each training image; 0: the images as they are evaluated; null: as many as fit the augmentation
    # of the data, which is 10 where crops are random, 2 (both sides) where images are only mirrored, and 0 otherwise.
    views: Views | None = None
    shard_size: Count = 8192  # images of a shard
    batch_size: AtOnce = 128  # images encoded at once
    path: PathText | None = None  # a finished cache made elsewhere; null: made, or found in cache_dir


@dataclass(config=STRICT)
class MVTMLoss:
    """Options of the MVTM loss, by default the paper's."""

    label_smoothing: Share = 0.1
    min_masking_rate: Share = 0.0  # smallest share of the tokens that is masked
    loss_on: Annotated[str, one_of("masked", "all")] = "masked"  # the positions whose loss counts
    label_dropout: Share = 0.0  # share of the images that are trained without their class


@dataclass(config=STRICT)
class MVTMConf(MVTMLoss):
    """The bidirectional transformer and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    weights: PathText | None = None  # a safetensors file to start from; null: fresh weights
    optim: Optim = MISSING


@dataclass(config=STRICT)
class AutoregressiveConf:
    """The autoregressive transformer and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    weights: PathText | None = None  # a safetensors file to start from; null: fresh weights
    label_smoothing: Share = 0.1
    label_dropout: Share = 0.0  # share of the images that are trained without their class
    order: dict[str, Any] = MISSING  # of the tokens, with _target_
    optim: Optim = MISSING


@dataclass(config=STRICT)
class AugmentConf:
    """How the images that a classifier is trained on are augmented, samples and real ones alike, in this order."""

    crop_scale: Areas | None = None  # area of a random resized crop; null: none
    crop_ratio: Ratios = field(default_factory=lambda: [3 / 4, 4 / 3])  # of width to height of that crop
    pad: HalfShare = 0.0  # without it: black on each side, as a share of the size, before a random crop of that size
    flip: bool | None = None  # mirrors half of the views; null: where the training of the data does
    n_ops: Operations = 0  # operations of RandAugment on each view; 0: none
    magnitude: Annotated[Int, rule(lambda n: 0 <= n <= 30, "give a whole number from 0 to 30")] = 9  # of each

    def __post_init__(self) -> None:
        """Raises a `UserError` for two kinds of crop at once."""
        if self.crop_scale is not None and self.pad > 0:
            raise UserError("a classifier's augment has both crop_scale and pad: set one of them to null or 0")


@dataclass(config=STRICT)
class ClassifierConf:
    """A classifier and its training."""

    net: dict[str, Any] = MISSING  # with _target_
    augment: AugmentConf = field(default_factory=AugmentConf)
    train_size: Pixels | None = None  # pixels of the images that it is trained on; null: as they are
    test_resize: Pixels | None = None  # pixels that images are resized to before a test; null: as they are
    test_size: Pixels | None = None  # pixels of their centre, which it is tested on; null: all of it
    label_smoothing: Share = 0.0
    optim: Optim = MISSING
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Raises a `UserError` for a centre that is larger than the image."""
        if None not in (self.test_resize, self.test_size) and self.test_size > self.test_resize:  # type: ignore[operator]
            raise UserError(
                f"a classifier's test_size={self.test_size} is larger than its test_resize={self.test_resize}: lower it"
            )


@dataclass(config=STRICT)
class FeaturesConf:
    """The network whose features and class probabilities the metrics use."""

    name: Extractor = MISSING
    weights: PathText | None = None  # null downloads them, where that can be


@dataclass(config=STRICT)
class EvalConf:
    """What is measured, on how many samples, against which images."""

    metrics: Annotated[list[str], AfterValidator(registry.asked_for), some_of(registry.names)] = field(
        default_factory=registry.names  # what cannot be computed is left out
    )
    n_samples: Images | None = None  # for each T; null: one for each training image and its class; the paper: 50000
    repeats: Draws = 1  # draws of the samples at each T, with other seeds; the release: 3 (eval_avg_num)
    batch_size: AtOnce = 128  # images at once; halved when a GPU runs out of memory
    reference: PathText = "train"  # train | test, of the data; a folder of images; an npz file, such as ADM's
    reference_features: Count = 50_000  # real images whose features are kept, for precision, recall and KID
    precision_features: Extractor | None = None  # another extractor for precision and recall; the paper: vgg16
    precision_weights: PathText | None = None  # its weights
    splits: Count = 1  # of the inception score; ADM's evaluator: 10
    neighbours: Count = 3  # k of precision and recall
    kid_subsets: Draws = 100
    kid_subset_size: Images = 1000
    nll_draws: Draws = 8  # masks drawn for each held-out image
    picture_steps: StepsPictured = 8  # T of the sample and filling grids
    picture_classes: Pictured = 10  # rows of the grids: the first classes
    picture_columns: Pictured = 12  # samples of each
    steps: Steps | None = None  # another name of decode.steps


@dataclass(config=STRICT)
class LoggerConf:
    """The loggers besides a run's own files, and the settings of Weights & Biases."""

    use: dict[str, Any] = field(default_factory=dict)  # by name, each with _target_: any of Lightning's loggers
    mode: Annotated[str, one_of("auto", "online", "offline", "none")] = "auto"  # auto: online where that is possible
    project: str = "maskgit-lab"
    entity: str | None = None
    group: str | None = None  # null: the sweep
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    log_model: bool = False  # uploads checkpoints and a table of samples as artifacts


@dataclass(config=STRICT)
class SweepConf:
    """Several jobs of one command; `sweeps/` has those of the paper."""

    name: str | None = None  # of the folder of logs and of the W&B group; null: after the settings that are swept
    verb: str | None = None  # the command that it is for: train | evaluate
    params: dict[str, Any] = field(default_factory=dict)  # settings and their values; a job for each combination
    seeds: list[Seed] = field(default_factory=lambda: [0])
    runs: PathText | None = None  # of evaluate.py: every trained run in this folder is a checkpoint
    model: str | None = None  # of evaluate.py: of the runs, only those of this model; null: all
    one_seed: bool = False  # of runs that differ in nothing but their seeds, only the one with the lowest
    then: str | None = None  # a function, by its dotted name, that is given the settings of the jobs at the end


@dataclass(config=STRICT)
class Hardware:
    """On what a network is trained, and how often it is saved and validated meanwhile."""

    accelerator: Annotated[str, one_of("auto", "cpu", "gpu", "cuda", "mps")] = "auto"
    devices: Count = 1  # processes on this machine, each with a device of its own
    num_nodes: Nodes = 1  # machines; each starts this command, with srun or torchrun
    accumulate: Count = 1  # batches whose gradients make one step; batch_size is that of the whole step
    precision: Precision = "32-true"
    workers: Workers | None = None  # processes of each device that decode images; null: as many as fit, none on the CPU
    deterministic: bool = True  # the same seed gives the same numbers, bit for bit on CPU
    threads: Threads | None = None  # of torch on the CPU; null: one a core
    save_every_epochs: Count = 5
    save_every_minutes: Positive = 10.0  # besides, within an epoch
    validate_every_epochs: Count = 5
    log_every_n_steps: Count = 10  # rows of metrics.csv
    pictures_every_epochs: Count | None = 10  # reconstructions and samples of a training; null: none
    flags: dict[str, Any] = field(default_factory=dict)  # of lightning.Trainer, each given as trainer.NAME

    def __post_init__(self) -> None:
        """Raises a `UserError` for a flag that Lightning does not have, or that has another name here."""
        check_flags(self.flags, [each.name for each in fields(self)])
