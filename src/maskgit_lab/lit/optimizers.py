"""Optimizers and learning-rate schedules from settings: any of torch's, of a library, or of one's own.

The parameters of a network come in two groups, since weight decay is for kernels only: the weights of linear layers and
convolutions, and neither biases and norms nor embeddings and codebooks. The released code does not say what it decays;
its public successor (google-research/magvit) does the same. The warm-up is linear; after it comes what the settings
name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import Parameter, signature
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import AdamW, Muon, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.objects import TARGET, build, locate
from maskgit_lab.settings import Optim

# In the settings of a schedule: the steps after the warm-up, or a part of them, such as total_steps/3, rounded up.
TOTAL = re.compile(r"total_steps(?:/([1-9]\d*))?")
KERNELS: Mapping[type[nn.Module], Sequence[str]] = {  # the kinds of module that have them, and what they call them
    nn.Linear: ("weight",),
    nn.Bilinear: ("weight",),
    _ConvNd: ("weight",),
    nn.MultiheadAttention: ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"),
}
OURS = ("lr", "weight_decay")  # what an optimizer is given besides its settings


class Several(Optimizer):
    """Optimizers of different parameters as one, with all their groups and a state in common."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in parts for group in part.param_groups], {})
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of each; the closure computes the loss and its gradients once."""
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Each part works on its own groups of what was just loaded."""
        first = 0
        for part in self.parts:
            last = first + len(part.param_groups)
            part.param_groups, part.state = self.param_groups[first:last], self.state
            first = last


def make_optimizer(network: nn.Module, optim: Optim, key: str = "optim") -> Optimizer:
    """The optimizer of a network's trainable parameters.

    torch's Muon takes matrices only: it gets the weights of linear layers, and AdamW all other parameters, embeddings
    and codebooks among them, with the same learning rate.

    Args:
        network: what is optimised.
        optim: its settings.
        key: their name, for errors.

    Raises:
        UserError: the settings name no optimizer, or one that does not take them.
    """
    node, key = optim.optimizer, f"{key}.optimizer"
    if taken := [name for name in OURS if name in node]:
        raise UserError(f"{key}.{taken[0]} is not used: give {key.removesuffix('.optimizer')}.{taken[0]}")
    target = locate(node.get(TARGET), f"{key}.{TARGET}", f"{key} cannot be built")
    chosen = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = kernels(network)
    if not (isinstance(target, type) and issubclass(target, Muon)):
        return _optimizer(node, key, chosen, decayed, optim)
    linear = {id(module.weight) for module in network.modules() if isinstance(module, nn.Linear)}
    matrices = [parameter for parameter in chosen if id(parameter) in linear]
    rest = [parameter for parameter in chosen if id(parameter) not in linear]
    others = {name: value for name, value in node.items() if not _takes(target, name) and _takes(AdamW, name)}
    own = {name: value for name, value in node.items() if name not in others}
    adamw = {**others, TARGET: "torch.optim.AdamW"}
    return Several([_optimizer(own, key, matrices, decayed, optim), _optimizer(adamw, key, rest, decayed, optim)])


def kernels(network: nn.Module) -> set[nn.Parameter]:
    """The parameters that weight decay is for, by what they do and not by their number of axes.

    The weights of linear layers, of convolutions and of the projections of `nn.MultiheadAttention`, unless they are
    an embedding's as well. A parameter that a module holds by itself, such as a codebook, is none.
    """
    found: set[nn.Parameter] = set()
    for module in network.modules():
        names = next((names for kind, names in KERNELS.items() if isinstance(module, kind)), ())
        found |= {weight for name, weight in module.named_parameters(recurse=False) if name in names}
    return found - {module.weight for module in network.modules() if isinstance(module, nn.Embedding)}


def make_scheduler(optimizer: Optimizer, optim: Optim, total_steps: int, key: str = "optim") -> LRScheduler:
    """The learning rate over a training: a linear warm-up, then what the settings name.

    Args:
        optimizer: its learning rates are set.
        optim: its settings.
        total_steps: of the training.
        key: the name of the settings, for errors.

    Raises:
        UserError: the settings name no schedule, or one that does not take them.
    """
    if optim.own_scheduler is None:
        return LambdaLR(optimizer, lambda step: lr_factor(step, total_steps, optim))
    after = max(1, total_steps - optim.warmup_steps)
    node = {name: _counted(value, after) for name, value in optim.own_scheduler.items()}
    make = partial(_scheduler, node, f"{key}.scheduler")
    return WarmedUp(optimizer, optim.warmup_steps, make, f"{key}.scheduler")


class WarmedUp(LRScheduler):
    """A linear warm-up to the learning rates that another schedule begins with, and then that schedule.

    Args:
        optimizer: its learning rates are set.
        warmup_steps: how many; 0: none.
        make: the other schedule of the optimizer.
        key: the name of its settings, for errors.
    """

    def __init__(
        self, optimizer: Optimizer, warmup_steps: int, make: Callable[[Optimizer], LRScheduler], key: str
    ) -> None:
        self.optimizer = optimizer
        self.warmup_steps = warmup_steps
        self.schedule = make(optimizer)
        self.key = key
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0  # steps made; torch's name
        self._warm_up()

    def step(self, epoch: int | None = None) -> None:
        """Sets the learning rates of the next step."""
        self.last_epoch += 1
        if self.last_epoch > self.warmup_steps:
            self.step_schedule()
            self._last_lr = self.schedule.get_last_lr()
        else:
            self._warm_up()

    def step_schedule(self) -> None:
        """A step of the other schedule.

        Raises:
            UserError: it fails, such as one that ends before the training does.
        """
        try:
            self.schedule.step()
        except Exception as error:  # of torch's schedules, or of one's own
            raise UserError(f"{self.key} fails ({first_line(error)}): change its settings") from error

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "base_lrs": self.base_lrs, "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.last_epoch, self.base_lrs = state_dict["last_epoch"], state_dict["base_lrs"]
        self.schedule.load_state_dict(state_dict["schedule"])
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _warm_up(self) -> None:
        factor = min(1.0, (self.last_epoch + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = factor * lr
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


def lr_factor(step: int, total_steps: int, optim: Optim) -> float:
    """The learning rate at a step, in units of `optim.lr`: linear warm-up, then constant or half a cosine to 0."""
    if step < optim.warmup_steps:
        return (step + 1) / optim.warmup_steps
    if optim.decay == "none":
        return 1.0
    progress = (step - optim.warmup_steps) / max(1, total_steps - optim.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _counted(value: Any, total_steps: int) -> Any:
    """A setting of a schedule, where a share of the steps is their number."""
    found = TOTAL.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else math.ceil(total_steps / int(found[1] or 1))


def _optimizer(
    node: Mapping[str, Any], key: str, parameters: Sequence[nn.Parameter], decayed: set[nn.Parameter], optim: Optim
) -> Optimizer:
    target = locate(node.get(TARGET), f"{key}.{TARGET}", f"{key} cannot be built")
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p in decayed], "weight_decay": optim.weight_decay},
        {"params": [p for p in parameters if p not in decayed], "weight_decay": 0.0},
    ]
    is_other_class = isinstance(target, type) and not issubclass(target, Optimizer)  # which `build` refuses
    if not is_other_class and not _takes(target, "weight_decay"):
        if optim.weight_decay > 0:
            place = key.removesuffix(".optimizer")
            raise UserError(f"{key}: {target.__name__} takes no weight_decay: set {place}.weight_decay=0")
        for group in groups:
            del group["weight_decay"]
    # Lists are tuples, as torch's own defaults are.
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in node.items()}
    try:
        return build(given, key, Optimizer, params=[group for group in groups if group["params"]], lr=optim.lr)
    except UserError as error:
        raise _with_way_out(error, key) from error


def _scheduler(node: Mapping[str, Any], key: str, optimizer: Optimizer) -> LRScheduler:
    target = locate(node.get(TARGET), f"{key}.{TARGET}", f"{key} cannot be built")
    if isinstance(target, type) and issubclass(target, ReduceLROnPlateau):
        raise UserError(f"{key}: {target.__name__} depends on a metric and not on the step: choose another schedule")
    try:
        return build(node, key, LRScheduler, optimizer=optimizer)
    except UserError as error:
        raise _with_way_out(error, key) from error


def _with_way_out(error: UserError, key: str) -> UserError:
    """The same error; where a setting is unknown, with how to leave one out that a config brings."""
    name, _, rest = str(error).partition(": there is no such setting")
    if rest and name.startswith(f"{key}."):
        return UserError(f"{error}; ~{name} on the command line removes the one in the config")
    return error


def _takes(target: Any, name: str) -> bool:
    """Whether a class or function has a parameter of this name."""
    parameters = signature(target).parameters
    return name in parameters or any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())
