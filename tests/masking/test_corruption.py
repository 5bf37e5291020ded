"""Corruption: how many, where, and with what."""

import pytest
import torch

from maskgit_lab.masking.corruption import corrupt, draw_dropped, draw_mask
from maskgit_lab.masking.schedules import Cosine, Cubic, Linear, SquareRoot

TOKENS = torch.zeros(4000, 16, dtype=torch.int64)


def test_masks_between_one_and_all_tokens(generator):
    for schedule in (Cosine(), Cubic(), SquareRoot()):
        counts = draw_mask(TOKENS, schedule, generator).sum(dim=1)
        assert counts.min() >= 1 and counts.max() <= 16


def test_counts_are_the_ceiling_of_gamma_n(generator):
    counts = draw_mask(TOKENS, Linear(), generator).sum(dim=1)
    # 1 - r with r uniform in [0, 1): every count from 1 to 16 is equally likely.
    share = torch.bincount(counts, minlength=17)[1:] / len(TOKENS)
    assert (share - 1 / 16).abs().max() < 0.02


def test_positions_are_uniform(generator):
    share = draw_mask(TOKENS, Linear(), generator).double().mean(dim=0)
    assert (share - share.mean()).abs().max() < 0.03


def test_concave_masks_more_than_convex(generator):
    assert draw_mask(TOKENS, Cubic(), generator).sum() > 2 * draw_mask(TOKENS, SquareRoot(), generator).sum()


def test_the_same_generator_gives_the_same_mask():
    first, second = (draw_mask(TOKENS, Cosine(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


def test_only_masked_tokens_change(generator):
    tokens = torch.randint(0, 9, (8, 16), generator=generator)
    mask = draw_mask(tokens, Cosine(), generator)
    corrupted = corrupt(tokens, mask, 9)
    assert torch.equal(corrupted == 9, mask)
    assert torch.equal(corrupted[~mask], tokens[~mask])


def test_the_minimum_masking_rate_raises_only_low_ratios(generator):
    tokens = torch.zeros(4000, 64, dtype=torch.int64)
    counts = draw_mask(tokens, Linear(), generator, min_ratio=0.5).sum(dim=1)
    assert counts.min() == 32 and counts.max() == 64
    assert (counts == 32).float().mean() == pytest.approx(0.5, abs=0.05)


def test_labels_are_dropped_at_their_rate(generator):
    assert not draw_dropped(1000, 0.0, generator).any()
    assert draw_dropped(1000, 0.2, generator).float().mean() == pytest.approx(0.2, abs=0.05)
