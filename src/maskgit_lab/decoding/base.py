"""The interface of a decoder: a grid with masked tokens in, a full grid out. It sees the model only as a callable.

Shapes: B images, N tokens per image, K codes, T steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from maskgit_lab.errors import UserError
from maskgit_lab.masking import schedules
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.objects import TARGET, build, locate
from maskgit_lab.sizes import MOST_SCALE

PACKAGE = "maskgit_lab."
COMMON = ("schedule", "steps")  # settings that are not one decoder's own


@runtime_checkable
class Model(Protocol):
    """Predicts tokens: all that a decoder knows about a network."""

    mask_id: int  # the token that stands for "unknown"

    @property
    def null_label(self) -> int:
        """The label for "no class"."""
        ...

    def __call__(self, tokens: Int64[Tensor, "B N"], labels: Int64[Tensor, " B"], /) -> Tensor:
        """Logits (B, N, K) over the codes at every position."""
        ...


@runtime_checkable
class CausalModel(Model, Protocol):
    """Predicts each token from those before it in some order."""

    order_N: Tensor  # the positions in that order

    def next_logits(self, known: Int64[Tensor, "B t"], labels: Int64[Tensor, " B"], cache: Any = None, /) -> Tensor:
        """Logits (B, K) of the token that follows the first t; a cache keeps the keys and values of these."""
        ...

    def new_cache(self, batch_size: int, /) -> Any:
        """An empty cache; `take(other, index)` copies the entries of the images in `index` from another one."""
        ...


class Decoded:
    """A finished decoding.

    Args:
        tokens: (B, N), filled.
        history: (B, T, N), where [:, t] is the grid after step t, masks included; or a function that computes it,
            so that N steps of N tokens take memory only if they are used.
    """

    def __init__(
        self, tokens: Int64[Tensor, "B N"], history: Int64[Tensor, "B T N"] | Callable[[], Int64[Tensor, "B T N"]]
    ) -> None:
        self.tokens = tokens
        self._history = history

    @property
    def history(self) -> Int64[Tensor, "B T N"]:
        """The grid after each step."""
        return self._history if isinstance(self._history, Tensor) else self._history()


class Decoder(ABC):
    """Fills in masked tokens; known tokens never change.

    A decoder is a frozen dataclass and a YAML file in `conf/decode/`. Its fields are its settings, which rows of
    results record; the fields `schedule` and `steps`, if it has them, are set for it. `__post_init__` raises a
    `UserError` for invalid values.
    """

    is_autoregressive: ClassVar[bool] = False  # whether it needs a `CausalModel`, instead of one that fills masks

    @abstractmethod
    def __call__(
        self,
        model: Model,
        tokens: Int64[Tensor, "B N"],
        labels: Int64[Tensor, " B"],
        generators: Sequence[torch.Generator],
    ) -> Decoded:
        """Fills every position that holds `model.mask_id`.

        Args:
            model: the network, with its mask token.
            tokens: codes, with the mask token at the positions to fill.
            labels: the class of each image.
            generators: randomness for each image, on the device of the tokens.
        """

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings, as a row of results has them."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        schedule = own.pop("schedule", None)
        known = {"decode_schedule": schedule.name} if schedule is not None else {}
        module = "" if type(self).__module__.startswith(PACKAGE) else f"{type(self).__module__}."
        return {"decoder": f"{module}{type(self).__name__.lower()}", **known, **own}

    def check(self, label_dropout: float) -> None:  # noqa: B027 (most decoders have nothing to check)
        """Raises a `UserError` if it cannot decode a model that was trained with this share of dropped labels."""

    def check_fits_model(self, *, autoregressive: bool, label_dropout: float) -> None:
        """Raises a `UserError` if it cannot decode a model.

        Args:
            autoregressive: whether the model predicts one token after another.
            label_dropout: share of the training images that were shown without their class.
        """
        if autoregressive and not self.is_autoregressive:
            raise _fills_masks(type(self))
        if self.is_autoregressive and not autoregressive:
            raise UserError(
                f"the decoder {type(self).__name__} needs an autoregressive model, and this one fills masked tokens: "
                "give decode=maskgit, or leave decode out"
            )
        self.check(label_dropout)

    def with_steps(self, steps: int) -> Decoder:
        """The same decoder with another T, if it has one."""
        return replace(self, steps=steps) if "steps" in self.settings else self  # type: ignore[type-var]


def check_scale(name: str, value: float) -> None:
    """Raises a `UserError` unless a setting can scale noise or logits: larger numbers are infinite in 32 bits."""
    if not value >= 0:  # NaN too
        raise UserError(f"decode.{name}={value} is not possible: give a number that is not negative")
    if value > MOST_SCALE:
        raise UserError(f"decode.{name}={value} is not possible: give at most {MOST_SCALE:.0f}")


def build_decoder(decode: Mapping[str, Any], trained: Schedule | None, steps: int) -> Decoder:
    """The decoder that the settings of the group `decode` describe.

    Args:
        decode: `_target_`, `schedule` (a name, the dotted name of a class of your own, or None) and the decoder's own
            settings.
        trained: the training schedule, which is used if none is named; None for an autoregressive model.
        steps: T.

    Raises:
        UserError: there is no such decoder or schedule, its settings are invalid, or it needs the training schedule
            and there is none.
    """
    own = {key: value for key, value in decode.items() if key not in COMMON}
    kind = locate(own.get(TARGET), f"decode.{TARGET}", "decode cannot be built")
    known = getattr(kind, "__dataclass_fields__", {})
    if "schedule" in known and trained is None and decode.get("schedule") is None:
        raise _fills_masks(kind)
    values: dict[str, Any] = {"steps": steps} if "steps" in known else {}
    values |= {"schedule": _chosen_schedule(decode.get("schedule"), trained)} if "schedule" in known else {}
    return build(own, "decode", Decoder, **values)  # type: ignore[type-abstract]


def _fills_masks(kind: type) -> UserError:
    return UserError(
        f"the decoder {kind.__name__} fills masked tokens, and the model is autoregressive: give "
        "decode=autoregressive, or leave decode out"
    )


def _chosen_schedule(name: Any, trained: Schedule | None) -> Schedule:
    """The schedule that `decode.schedule` names; a dotted name refers to a class, as in `_target_`."""
    if name is not None and not isinstance(name, str):
        raise UserError(f"decode.schedule={name} is not possible: give the name of a schedule, such as cosine")
    if name is None or "." not in name or (trained is not None and name == trained.name):
        return named_schedule(name, trained)
    if trained is not None and name == f"{type(trained).__module__}.{type(trained).__qualname__}":
        return trained  # with the settings of its training
    return build({TARGET: name}, "decode.schedule", Schedule)  # type: ignore[type-abstract]


def named_schedule(name: str | None, trained: Schedule | None = None) -> Schedule:
    """The schedule of that name, or the training schedule.

    Raises:
        UserError: there is no such schedule, or it needs settings of its own.
    """
    every = [kind for kind in schedules.Schedule.__subclasses__() if not kind.__name__.startswith("_")]
    own = {kind.config_name(): kind for kind in every if kind.__module__ != schedules.__name__}
    known = own | {kind.config_name(): kind for kind in every if kind.__module__ == schedules.__name__}
    if trained is not None and (name in (None, trained.name) or known.get(name) is type(trained)):
        return trained
    if name not in known:
        names = ", ".join(sorted(known))
        raise UserError(f"decode.schedule={name}: there is no such schedule; choose one of {names}")
    try:
        return known[name]()
    except TypeError as error:
        raise UserError(f"decode.schedule={name} needs settings of its own: choose it with schedule={name}") from error
