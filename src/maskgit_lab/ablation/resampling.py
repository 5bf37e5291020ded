"""A nested, paired bootstrap of curves: what chance would have made of the same schedules with other seeds.

A tokenizer's seed holds several training seeds, and a training seed several draws of samples. All schedules of a seed
have its tokenizer, its initialisation and its noise in common, so a seed is drawn for all schedules at once: what a
lucky seed gives to every schedule then moves none ahead of another. A level with a single member is kept as it is.
Drawing again within what was drawn overstates what the inner levels vary by (Davison and Hinkley 1997, section 3.8): it
errs on the safe side.

Shapes: B resamples, R models (of different seeds), D draws of samples, X values of T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, stdtrit

from maskgit_lab.ablation.curves import Curve
from maskgit_lab.ablation.points import Draw
from maskgit_lab.ablation.reading import Seeds

Weights = Int[np.ndarray, "B R"]
COVERED = 0.95  # by the intervals


@dataclass(frozen=True)
class Levels:
    """How many there are of each thing that varies by chance; an interval holds those of which there are several."""

    seeds: tuple[Seeds, ...]  # of the models of each schedule, the same for all
    draws: tuple[int, int]  # of samples, the fewest and the most of a model
    classifiers: int = 1  # whose features are measured

    @property
    def tokenizers(self) -> int:
        """Tokenizers with seeds of their own."""
        return len({one.tokenizer for one in self.seeds})

    @property
    def trainings(self) -> tuple[int, int]:
        """The fewest and the most training seeds of a tokenizer."""
        counts = [sum(one.tokenizer == own for one in self.seeds) for own in {one.tokenizer for one in self.seeds}]
        return min(counts), max(counts)

    @property
    def n_drawn(self) -> int:
        """How many there are at the outermost level that is drawn from, or the fewest of such levels."""
        models = self.tokenizers if self.tokenizers > 1 else len(self.seeds)
        return min(n for n in (models, self.classifiers) if n > 1)

    @property
    def are_several(self) -> bool:
        """Whether there are several models of each schedule, without which there is no interval."""
        return len(self.seeds) > 1


def resampled(
    curves: Sequence[Curve], bootstrap: int, generator: np.random.Generator
) -> list[Float[np.ndarray, "B X"]]:
    """The mean of each curve, as it is and in each resample.

    With replacement, tokenizers are drawn, of each as many training seeds as it has, and of each of these as many
    draws of samples as it has.

    Args:
        curves: with the same seeds and without gaps, as `compare` makes them.
        bootstrap: B.
        generator: of the resamples.
    """
    seeds = curves[0].seeds
    times_BR = np.vstack([np.ones((1, len(seeds)), dtype=int), _drawn_seeds(seeds, bootstrap, generator)])
    means = [np.zeros((bootstrap + 1, len(one.x))) for one in curves]
    for row, times_B in enumerate(times_BR.T):
        counts = _drawn_samples(_draws_of(curves, row), times_B, generator)
        for mean_BX, one in zip(means, curves, strict=True):
            mean_BX += times_B[:, None] * _mean_of_draws(one, row, counts)
    return [mean_BX / times_BR.sum(axis=1, keepdims=True) for mean_BX in means]


def percentile_interval(values_B: Float[np.ndarray, " B"], n: int) -> tuple[float, float]:
    """The expanded percentile interval of 95 % (Hesterberg 2015, "What Teachers Should Know About the Bootstrap").

    The middle 95 % of the resamples of so few are too narrow: their variance is (n - 1) / n of what it should be, and
    the tails are those of a normal distribution. The tails that are cut off are shorter by just as much as Student's
    interval of a mean is wider; of 3 or fewer, nothing is cut off.

    Args:
        values_B: of the resamples.
        n: how many there are of what was drawn.
    """
    tail = float(ndtr(stdtrit(n - 1, (1 - COVERED) / 2) * np.sqrt(n / (n - 1))))
    low, high = np.quantile(values_B, (tail, 1 - tail))
    return float(low), float(high)


def _drawn_seeds(seeds: Sequence[Seeds], bootstrap: int, generator: np.random.Generator) -> Weights:
    """How often each model is in each resample."""
    tokenizers = sorted({one.tokenizer for one in seeds})
    k = len(tokenizers)
    times_BK = generator.multinomial(k, np.full(k, 1 / k), size=bootstrap)
    times_BR = np.zeros((bootstrap, len(seeds)), dtype=int)
    for tokenizer, times_B in zip(tokenizers, times_BK.T, strict=True):
        rows = [row for row, one in enumerate(seeds) if one.tokenizer == tokenizer]
        times_BR[:, rows] = generator.multinomial(times_B * len(rows), np.full(len(rows), 1 / len(rows)))
    return times_BR


def _draws_of(curves: Sequence[Curve], row: int) -> list[Draw]:
    """Of the samples of the models of one seed, over all curves."""
    found = {
        draw
        for one in curves
        for draw, values_X in zip(one.draws, one.values_RDX[row], strict=True)
        if np.isfinite(values_X).any()
    }
    return sorted(found)


def _drawn_samples(
    draws: Sequence[Draw], times_B: Int[np.ndarray, " B"], generator: np.random.Generator
) -> dict[Draw, Int[np.ndarray, " B"]]:
    """How often each draw of samples is in each resample, the same for all schedules; the first is of them as they are.

    Every time that the model's seed was drawn, as many draws of its samples are drawn as there are.
    """
    n = len(draws)
    counts_BD = generator.multinomial(times_B * n, np.full(n, 1 / n))
    counts_BD[0] = 1
    return dict(zip(draws, counts_BD.T, strict=True))


def _mean_of_draws(curve: Curve, row: int, counts: dict[Draw, Int[np.ndarray, " B"]]) -> Float[np.ndarray, "B X"]:
    """Of a model in each resample; of all of its draws where an x has none of those that were drawn."""
    known_DX = np.isfinite(curve.values_RDX[row])
    zeros_B = np.zeros_like(next(iter(counts.values())))
    counts_BD = np.stack([counts.get(draw, zeros_B) for draw in curve.draws], axis=1)
    total_BX = counts_BD @ np.where(known_DX, curve.values_RDX[row], 0.0)
    n_BX = counts_BD @ known_DX.astype(int)
    whole_BX = np.broadcast_to(curve.values_RX[row], total_BX.shape).copy()
    return np.divide(total_BX, n_BX, out=whole_BX, where=n_BX > 0)
