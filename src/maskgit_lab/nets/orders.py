"""The order in which an autoregressive model predicts the tokens of an image.

The paper's baseline goes row by row, as does Esser et al. 2021 (*Taming Transformers*, section 3.3 and appendix), who
compare other orders.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.objects import name_of


class Order(ABC):
    """An order of the tokens of a grid: a class, and a YAML file in `conf/order/`."""

    @property
    def name(self) -> str:
        """As rows of results have it: its class in lower case, with the module of a user's own, and its settings."""
        return name_of(self, type(self).__name__.lower(), __name__)

    @abstractmethod
    def __call__(self, height: int, width: int) -> Int64[Tensor, " N"]:
        """The positions of the tokens, row by row from 0, in the order in which they are predicted."""


class Raster(Order):
    """Row by row, each from left to right: the paper's."""

    def __call__(self, height: int, width: int) -> Int64[Tensor, " N"]:
        return torch.arange(height * width)


class Column(Order):
    """Column by column, each from top to bottom."""

    def __call__(self, height: int, width: int) -> Int64[Tensor, " N"]:
        return torch.arange(height * width).view(height, width).T.flatten()


class Spiral(Order):
    """From the top left corner along the border, clockwise, and on inwards."""

    def __call__(self, height: int, width: int) -> Int64[Tensor, " N"]:
        rest, parts = torch.arange(height * width).view(height, width), list[Tensor]()
        while rest.numel():
            parts.append(rest[0])
            rest = rest[1:].rot90()  # counterclockwise, so that the right border becomes the first row
        return torch.cat(parts)


@dataclass(frozen=True)
class Permutation(Order):
    """A random order, the same for all images; the seed is its own."""

    seed: int = 0

    def __post_init__(self) -> None:
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise UserError(f"autoregressive.order.seed={self.seed} is not possible: give a whole number of at least 0")

    def __call__(self, height: int, width: int) -> Int64[Tensor, " N"]:
        return torch.randperm(height * width, generator=torch.Generator().manual_seed(self.seed))


def positions_of(order: Order, height: int, width: int) -> Int64[Tensor, " N"]:
    """The positions that an order, which may be a user's own, gives for a grid.

    Raises:
        UserError: they are not every position of the grid once.
    """
    with torch.device("cpu"):  # networks are tried without memory, which positions need
        try:
            found = order(height, width)
        except Exception as error:  # of a class of the user's
            raise UserError(
                f"the order {order.name} fails for a grid of {height} x {width} tokens ({first_line(error)}): fix it, "
                "or choose another with order=NAME"
            ) from error
    if not isinstance(found, Tensor) or found.ndim != 1 or not is_permutation(found.tolist(), height * width):
        what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise UserError(
            f"the order {order.name} gives {what} for a grid of {height} x {width} tokens: return every position from "
            f"0 to {height * width - 1} once, as a tensor of whole numbers"
        )
    return found.long().cpu()


def is_permutation(positions: Sequence[object], length: int) -> bool:
    """Whether these are the whole numbers from 0 to `length` - 1, each once."""
    return len(positions) == length and all(type(p) is int for p in positions) and set(positions) == set(range(length))
