"""The order-agnostic bound, against likelihoods that are known exactly, and the distribution of its masks."""

import math
from itertools import product

import pytest
import torch

from maskgit_lab.masking.corruption import draw_mask
from maskgit_lab.masking.schedules import Linear
from maskgit_lab.objectives.likelihood import order_agnostic_nll, uniform_counts
from maskgit_lab.objectives.mvtm import masked_nll

K, N = 3, 2
IMAGES = 4000


def joint(seed):
    """p(a, b), far from a product of p(a) and p(b)."""
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(K, K, generator=generator, dtype=torch.float64)).flatten().softmax(0).view(K, K)


def conditionals(p_ab, q_ab=None):
    """The model of two tokens whose conditionals are those of p; p(b | a) is that of q, if there is one."""
    of_a, of_b = p_ab.sum(1), p_ab.sum(0)
    a_given_b, b_given_a = p_ab / of_b, (p_ab if q_ab is None else q_ab)
    b_given_a = b_given_a / b_given_a.sum(1, keepdim=True)

    def predict(tokens, _):
        a, b = tokens.T
        first = torch.where((b == K)[:, None], of_a, a_given_b.T[b.clamp(max=K - 1)])
        second = torch.where((a == K)[:, None], of_b, b_given_a[a.clamp(max=K - 1)])
        return torch.stack([first, second], dim=1).log().float()

    return predict


def drawn(p_ab, generator):
    cells = torch.multinomial(p_ab.flatten(), IMAGES, replacement=True, generator=generator)
    return torch.stack([cells // K, cells % K], dim=1), torch.zeros(IMAGES, dtype=torch.int64)


def bound(predict, tokens, labels, draws, generator):
    values = order_agnostic_nll(predict, tokens, labels, K, draws, generator)
    return values.mean().item(), values.std().item() / math.sqrt(IMAGES)


@pytest.mark.parametrize("draws", [1, 3])
def test_with_conditionals_of_one_joint_distribution_the_bound_is_its_exact_nll(draws, generator):
    p_ab = joint(0)
    tokens, labels = drawn(p_ab, generator)
    entropy = -(p_ab * p_ab.log()).sum().item() / N
    exact = -p_ab[tokens[:, 0], tokens[:, 1]].log().mean().item() / N
    value, error = bound(conditionals(p_ab), tokens, labels, draws, generator)
    print(f"{draws} masks an image: bound {value:.4f} ± {error:.4f}, exact {exact:.4f}, entropy {entropy:.4f}")
    assert value == pytest.approx(entropy, abs=4 * error) and value == pytest.approx(exact, abs=4 * error)
    assert error < 0.02


def test_with_conditionals_of_two_distributions_the_bound_is_above_the_exact_nll(generator):
    p_ab, q_ab = joint(0), joint(1)
    predict = conditionals(p_ab, q_ab)
    tokens, labels = drawn(p_ab, generator)
    a, b = tokens.T
    a_first = p_ab.sum(1)[a] * (q_ab / q_ab.sum(1, keepdim=True))[a, b]
    exact = -((a_first + p_ab[a, b]) / 2).log() / N  # of a model that begins with either token, by chance
    above = order_agnostic_nll(predict, tokens, labels, K, 2, generator) - exact
    error = above.std().item() / math.sqrt(IMAGES)
    print(f"exact {exact.mean():.4f}, the bound is above it by {above.mean():.4f} ± {error:.4f}")
    assert above.mean().item() > 4 * error


def test_the_error_is_the_spread_of_repeated_estimates(generator):
    p_ab = joint(0)
    found = [bound(conditionals(p_ab), *drawn(p_ab, generator), 2, generator) for _ in range(60)]
    values, errors = torch.tensor(found).T
    assert values.std().item() == pytest.approx(errors.mean().item(), rel=0.35)  # 60 estimates know it to 9 %


@pytest.mark.parametrize(("n_tokens", "draws"), [*product([1, 7, 64], [1, 4, 5])])
def test_the_number_of_masked_tokens_is_uniform(n_tokens, draws, generator):
    counts = uniform_counts(20_000, n_tokens, draws, generator)
    assert _chi_square(counts.flatten(), n_tokens) < 5
    assert counts.min() == 1 and counts.max() == n_tokens


def test_the_masks_of_an_image_are_spread_over_the_range(generator):
    counts = uniform_counts(100, 64, 8, generator)
    assert torch.equal(counts - counts[:, :1], torch.arange(0, 64, 8).expand(100, 8))


@pytest.mark.parametrize("n_tokens", [7, 64])
def test_linear_masks_are_uniform_too_so_that_their_nll_is_the_bound(n_tokens, generator):
    masks = draw_mask(torch.zeros(100_000, n_tokens, dtype=torch.int64), Linear(), generator)
    assert _chi_square(masks.sum(dim=1), n_tokens) < 5
    p_ab = joint(0)
    tokens, labels = drawn(p_ab, generator)
    nll = masked_nll(conditionals(p_ab), tokens, labels, Linear(), K, 4, generator)
    value, error = bound(conditionals(p_ab), tokens, labels, 4, generator)
    assert nll == pytest.approx(value, abs=4 * error)


def _chi_square(counts, n_tokens):
    """How many standard deviations the counts are from those of a uniform distribution on 1..N, by their chi-square."""
    found = torch.bincount(counts, minlength=n_tokens + 1)[1:].double()
    expected = len(counts) / n_tokens
    return (((found - expected) ** 2 / expected).sum().item() - (n_tokens - 1)) / math.sqrt(2 * max(1, n_tokens - 1))
