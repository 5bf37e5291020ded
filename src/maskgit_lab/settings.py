"""Groups of plain values that several constructors take, and that the config schema in `config.py` uses as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Optim:
    """How one network is optimised."""

    epochs: int
    batch_size: int  # images of one step, over all devices and accumulated batches
    lr: float
    max_steps: int | None = None  # ends the training early; null: after the epochs
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.0  # decoupled, on matrices only
    warmup_steps: int = 0  # linear, from 0 to lr
    decay: str = "none"  # none | cosine: of the learning rate after the warm-up, to 0 at the end
    gradient_clip: float = 0.0  # largest gradient norm; 0 does not clip
    ema_decay: float = 0.0  # of the weights that are evaluated; 0 keeps no average


@dataclass
class TokenizerLosses:
    """Weights of the tokenizer's losses, by default the paper's; 0 switches a loss off, with all that it needs."""

    pixel: float = 1.0
    codebook: float = 1.0
    commitment: float = 0.25
    entropy: float = 0.1
    entropy_temperature: float = 0.01
    adversarial: float = 0.1
    r1: float = 10.0
    perceptual: float = 0.1


@dataclass
class MVTMLoss:
    """Options of the MVTM loss, by default the paper's."""

    label_smoothing: float = 0.1
    min_masking_rate: float = 0.0  # smallest share of the tokens that is masked
    loss_on: str = "masked"  # masked | all: the positions whose loss counts
    label_dropout: float = 0.0  # share of the images that are trained without their class


@dataclass
class DeadCodes:
    """Codes that no image uses."""

    window: int = 1000  # steps over which the use of each code is counted
    revive: bool = False  # at the end of each window, dead codes take the place of latents of the last batch


@dataclass
class Hardware:
    """On what a network is trained, and how often it is saved and validated meanwhile."""

    accelerator: str = "auto"
    devices: int = 1  # processes on this machine, each with a device of its own
    num_nodes: int = 1
    accumulate: int = 1  # batches whose gradients make one step
    precision: str = "32-true"
    workers: int | None = None  # processes that decode images, for each device; null: as many as fit, none on the CPU
    deterministic: bool = True  # the same seed gives the same numbers, bit for bit on CPU
    threads: int | None = None  # of torch on the CPU; null: one a core
    save_every_epochs: int = 5
    validate_every_epochs: int = 5


def flatten(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return flat
