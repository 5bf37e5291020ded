"""Mask schedules gamma(r): the fraction of an image that is masked at progress r (MaskGIT, section 3.3).

Every schedule decreases on [0, 1] from 1 (all masked) to 0 (all known); concave ones mask more for longer. Training
draws r uniformly; decoding uses r = (t + 1) / T after step t of T. A new schedule is a class and a YAML file in
`conf/schedule`.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from maskgit_lab.objects import name_of

# The released code clips gamma to [1e-6, 1], so that at least one token is always masked in training.
SMALLEST_RATIO = 1e-6


class Schedule(ABC):
    """A mask schedule; an instance is called as `schedule(ratio, n_tokens)`."""

    @classmethod
    def config_name(cls) -> str:
        """The name of its config: `square_root` for `SquareRoot`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def name(self) -> str:
        """Its name in results: that of its config, with its module if it is a user's own class, and its settings."""
        return name_of(self, self.config_name(), __name__)

    def __call__(self, ratio: Float[Tensor, "*shape"], n_tokens: int | Tensor) -> Float[Tensor, "*shape"]:
        """Fraction of tokens to mask at progress `ratio`.

        Args:
            ratio: progress r in [0, 1], of any shape.
            n_tokens: N, the number of tokens to fill; a number, or a tensor that broadcasts with `ratio`.

        Returns:
            gamma(r), clipped to [1e-6, 1], of the shape of `ratio`.
        """
        return self.gamma(ratio, _log2_tokens(n_tokens, ratio)).clamp(SMALLEST_RATIO, 1.0)

    @abstractmethod
    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        """gamma(r) before clipping; `log2_n` is log2(N), which only two of the paper's schedules use."""


def _log2_tokens(n_tokens: int | Tensor, like: Tensor) -> Tensor:
    n = torch.as_tensor(n_tokens, dtype=like.dtype, device=like.device)
    return n.clamp(min=2).log2()  # a hole of one token has log2(N) = 0, which the logarithmic schedule divides by


class Linear(Schedule):
    """gamma(r) = 1 - r."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return 1 - ratio


class Cosine(Schedule):
    """gamma(r) = cos(pi r / 2), concave: the paper's best and its default."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return torch.cos(ratio * (math.pi / 2))


class Square(Schedule):
    """gamma(r) = 1 - r^2, concave."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return 1 - ratio**2


class Cubic(Schedule):
    """gamma(r) = 1 - r^3, concave."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return 1 - ratio**3


class Exponential(Schedule):
    """gamma(r) = 1 - 2^(-log2(N) (1 - r)), concave; it starts at 1 - 1/N rather than at 1."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return 1 - torch.exp2(-log2_n * (1 - ratio))


class SquareRoot(Schedule):
    """gamma(r) = 1 - r^(1/2), convex."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return 1 - ratio.sqrt()


class Logarithmic(Schedule):
    """gamma(r) = -log2(r) / log2(N), convex where it is not clipped to 1 (r > 1/N)."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return -ratio.log2() / log2_n


class Arccos(Schedule):
    """gamma(r) = 2 arccos(r) / pi, concave: not in the paper, used by later masked image models."""

    def gamma(self, ratio: Tensor, log2_n: Tensor) -> Tensor:
        return torch.acos(ratio) * (2 / math.pi)
