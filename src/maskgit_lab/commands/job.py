"""What the stages of a job share, and how objects are built from their configs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from maskgit_lab import ranks
from maskgit_lab.commands.run_folder import RunFolder
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.lit.logger import RunLogger
from maskgit_lab.masking import schedules
from maskgit_lab.settings import Hardware
from maskgit_lab.store import Store

T = TypeVar("T")
B = TypeVar("B", bound="Bench")
WEIGHTS = "model.safetensors"  # of a network in the store


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What an evaluation works with, whether or not there is a run."""

    cfg: DictConfig
    terminal: Terminal
    store: Store
    data: ImageData | None
    together: bool = True  # whether every process takes part
    known: dict[str, Any] = field(default_factory=dict)  # classifiers that this command has at hand, by fingerprint

    @property
    def hardware(self) -> Hardware:
        """On what to train."""
        hardware = as_object(self.cfg.trainer, Hardware)
        return hardware if self.together else replace(hardware, devices=1, num_nodes=1, accumulate=1)

    def alone(self: B) -> B:
        """The same work for the main process by itself, on one device."""
        return replace(self, store=self.store.alone(), together=False)

    @property
    def device(self) -> torch.device:
        """Where networks are evaluated."""
        return device_of(self.cfg.trainer.accelerator)

    def need_data(self, what: str) -> ImageData:
        """The images of the data.

        Raises:
            UserError: there are none, and `what` needs them.
        """
        if self.data is None:
            raise UserError(f"{what} needs real images with classes: name them with data=NAME and its settings")
        return self.data


@dataclass(frozen=True, kw_only=True)
class Job(Bench):
    """One command's work on one run."""

    run: RunFolder
    logger: RunLogger | None
    data: ImageData

    @property
    def train_schedule(self) -> schedules.Schedule:
        """The schedule that the transformer is trained with."""
        return build(self.cfg.schedule, "schedule", schedules.Schedule)  # type: ignore[type-abstract]


def by_main(bench: B, work: Callable[[B], T]) -> T:
    """What the main process makes alone while the others wait; every process calls this and gets it."""
    made = work(bench.alone()) if ranks.is_main() else None
    return ranks.share(made)  # type: ignore[return-value]


def build(node: DictConfig, key: str, kind: type[T], **values: Any) -> T:
    """The object that a config with a `_target_` describes; `values` are those that depend on the data.

    Raises:
        UserError: the class does not exist, does not take these values, or makes something else than a `kind`.
    """
    try:
        if not _makes(get_object(node["_target_"]), kind):
            raise UserError(f"{key}._target_ makes no {kind.__name__}: name a class or a function that does")
        made = instantiate(node, **values, _convert_="all", _recursive_=False)
    except (InstantiationException, ImportError, AttributeError, ValueError, KeyError) as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        reason = str(cause or error).splitlines()[0].rstrip(".:")
        raise UserError(f"{key} cannot be built ({reason}): change its settings") from error
    return made


def _makes(target: Any, kind: type) -> bool:
    """Whether a class is a `kind`, or a function says that it returns one; nothing else is ever called."""
    if isinstance(target, type):
        return issubclass(target, kind)
    return getattr(target, "__annotations__", {}).get("return") in (kind, kind.__name__)


def as_object(node: Any, kind: type[T]) -> T:
    """A config node as the dataclass of its schema."""
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), node))  # type: ignore[return-value]


def decode_schedule(cfg: DictConfig, name: str | None) -> schedules.Schedule:
    """The schedule of that name, or the one that the config trains with.

    Raises:
        UserError: there is no such schedule.
    """
    trained = build(cfg.schedule, "schedule", schedules.Schedule)  # type: ignore[type-abstract]
    if name is None or name == trained.name:
        return trained
    return named_schedule(name)


def named_schedule(name: str) -> schedules.Schedule:
    """The schedule of that name.

    Raises:
        UserError: there is none, or it needs settings of its own.
    """
    known = {kind.config_name(): kind for kind in schedules.Schedule.__subclasses__()}
    if name not in known:
        names = ", ".join(sorted(known))
        raise UserError(f"decode.schedule={name}: there is no such schedule; choose one of {names}")
    try:
        return known[name]()
    except TypeError as error:
        raise UserError(f"decode.schedule={name} needs settings of its own: choose it with schedule={name}") from error


def device_of(accelerator: str) -> torch.device:
    """The torch device of Lightning's accelerator name.

    Raises:
        UserError: this machine has none.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if accelerator == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    name = (
        next((n for n, there in available.items() if there and n != "cpu"), "") if accelerator == "gpu" else accelerator
    )
    if not available.get(name):
        there = ", ".join(name for name, there in available.items() if there)
        raise UserError(f"accelerator={accelerator} is not on this machine: choose auto or one of {there}")
    return torch.device(name)


def require_file(path: Path, what: str) -> Path:
    """The path, if a file is there.

    Raises:
        UserError: it is not.
    """
    if not path.is_file():
        raise UserError(f"{what} {path} is missing: name the file that is there, or make it again with train.py")
    return path
