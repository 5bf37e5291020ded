"""What a user of the library gives: labels, tokens, images, seeds, a schedule, a device; each checked.

Shapes: n images, N tokens an image, K codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from maskgit_lab.decoding.base import named_schedule
from maskgit_lab.devices import device_of
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.masking.schedules import SMALLEST_RATIO, Schedule
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings.fields import check_step_count
from maskgit_lab.usage import as_typed

WholeNumber: TypeAlias = np.integer[Any] | int
WholeNumbers: TypeAlias = Sequence[int] | np.ndarray | Tensor  # of one axis
ScheduleLike: TypeAlias = str | Schedule | Callable[[Tensor, Tensor], Tensor | float]  # (ratio, n_tokens) -> mask ratio


@contextmanager
def settings_as_arguments() -> Iterator[None]:
    """Errors about settings of a command name the arguments of the library instead."""
    try:
        yield
    except UserError as error:
        text = str(error).replace("tokenizer.weights", "tokenizer").replace("decode.", "")
        raise UserError(as_typed(text)) from error


class _OwnSchedule(Schedule):
    """A schedule that is a plain function."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor | float]) -> None:
        self.function = function

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def __call__(self, ratio: Tensor, n_tokens: int | Tensor) -> Tensor:
        n = torch.as_tensor(n_tokens, dtype=ratio.dtype, device=ratio.device)
        try:
            share = torch.as_tensor(self.function(ratio, n), dtype=ratio.dtype, device=ratio.device).expand_as(ratio)
        except Exception as error:  # of a function of the user's
            raise UserError(
                f"schedule failed ({first_line(error)}): give a function of two tensors, the ratio in [0, 1] and the "
                "number of tokens, that returns the mask ratio in the shape of the first"
            ) from error
        if bool(share.isnan().any()):
            raise UserError("schedule returned NaN: return a mask ratio in [0, 1] for every ratio in (0, 1]")
        return share.clamp(SMALLEST_RATIO, 1.0)

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return self(ratio, log2_n.exp2())


def schedule_of(given: ScheduleLike, trained: Schedule | None) -> Schedule:
    """A schedule by its name, as an object, or from a function.

    Raises:
        UserError: there is no schedule of that name, or it is none of these.
    """
    if isinstance(given, Schedule):
        return given
    if isinstance(given, str):
        return named_schedule(given, trained)
    if isinstance(given, type) or not callable(given):
        raise UserError(f"schedule={given!r} is not possible: give a name, a Schedule or a function (ratio, n_tokens)")
    return _OwnSchedule(given)


def labels_of(given: WholeNumbers, n_classes: int, *, null_label: int | None = None) -> Tensor:
    """Labels as a tensor on the CPU.

    Args:
        given: numbers of classes.
        n_classes: there are.
        null_label: the label of no class, if it is allowed.

    Raises:
        UserError: they are not whole numbers, or there is no such class.
    """
    try:
        values = torch.as_tensor(given).cpu()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        values = torch.empty(0)
    if values.ndim != 1 or not len(values) or values.is_floating_point() or values.dtype == torch.bool:
        raise UserError("classes and labels are lists of whole numbers, one for each image: give them as [3, 7]")
    unknown = [label for label in values.tolist() if not 0 <= label < n_classes and label != null_label]
    if unknown:
        raise UserError(f"there is no class {unknown[0]}: the model has the classes 0 to {n_classes - 1}")
    return values.long()


def tokens_of(given: Tensor, n_tokens: int, n_codes: int, *, mask_id: int | None = None) -> Tensor:
    """Tokens (n, N) as int64, where they are.

    Args:
        given: codes, with the mask token at unknown positions if it is allowed.
        n_tokens: N.
        n_codes: K.
        mask_id: the mask token, if it is allowed.

    Raises:
        UserError: they have another shape or type, or are out of range.
    """
    if not isinstance(given, Tensor) or given.ndim != 2 or given.shape[1] != n_tokens or not len(given):
        found = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise UserError(f"tokens are {found}: give a tensor of shape (n, {n_tokens})")
    if given.is_floating_point() or given.dtype == torch.bool:
        raise UserError(f"tokens are of type {given.dtype}: give whole numbers")
    odd = given[(given < 0) | ((given >= n_codes) & (given != (-1 if mask_id is None else mask_id)))]
    if len(odd):
        masked = "" if mask_id is None else f", and the mask token {mask_id}"
        raise UserError(f"there is no code {int(odd[0])}: codes are 0 to {n_codes - 1}{masked}")
    return given.long()


def images_of(given: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (n, 3, H, W) in [0, 1].

    Raises:
        UserError: they have another shape or type, are out of range or contain NaN.
    """
    wanted = (3, *size)
    if not isinstance(given, Tensor) or given.ndim != 4 or tuple(given.shape[1:]) != wanted or not len(given):
        found = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise UserError(f"images are {found}: give a tensor of shape (n, {', '.join(map(str, wanted))})")
    if not given.is_floating_point():
        raise UserError(f"images are of type {given.dtype}: give floats in [0, 1], 8-bit ones divided by 255")
    if not bool(((given >= 0) & (given <= 1)).all()):  # NaN too
        raise UserError(f"images are from {given.min():.3g} to {given.max():.3g}: give floats in [0, 1]")
    return given.float()


def steps_of(given: object) -> int:
    """T, which may be a number of numpy.

    Raises:
        UserError: it is not a whole number of at least 1, or absurdly large.
    """
    steps = plain_number(given)
    try:
        check_step_count(steps)
    except ValueError as error:
        raise UserError(f"steps={given!r} is not possible: {error}") from error
    return int(steps)


def plain_number(given: Any) -> Any:
    """A number of numpy as Python's; anything else as it is."""
    return given.item() if isinstance(given, np.number) else given


def seeds_of(given: WholeNumber | WholeNumbers, steps: int, labels: Tensor) -> list[int]:
    """A seed for each image: those that are given, or of the k-th image of a class one from (seed, T, class, k).

    Raises:
        UserError: they are not whole numbers, negative, or not as many as images.
    """
    seeds = given.tolist() if isinstance(given, np.ndarray | Tensor) else plain_number(given)
    if type(seeds) is int and seeds >= 0:
        return _seeds_from(seeds, steps, labels)
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        seeds = [plain_number(seed) for seed in seeds]
    if not isinstance(seeds, list) or any(type(seed) is not int or not 0 <= seed < 2**63 for seed in seeds):
        raise UserError(f"seed={given!r} is not possible: give a whole number of at least 0, or one for each image")
    if len(seeds) != len(labels):
        raise UserError(f"there are {len(seeds)} seeds for {len(labels)} images: give one for each, or one for all")
    return seeds


def _seeds_from(seed: int, steps: int, labels: Tensor) -> list[int]:
    seen, seeds = Counter[int](), list[int]()
    for label in labels.tolist():
        seeds.append(mix_seeds(seed, steps, label, seen[label]))
        seen[label] += 1
    return seeds


def device_named(given: str | torch.device) -> torch.device:
    """A device such as `cpu` or `cuda:1`, or the best one for `auto`.

    Raises:
        UserError: this machine has none.
    """
    if not isinstance(given, torch.device) and ":" not in str(given):
        return device_of(str(given), "device")
    try:
        return torch.empty(0, device=given).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UserError(f"device={given} is not on this machine ({first_line(error)}): choose auto or cpu") from error
