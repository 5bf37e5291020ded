"""The exact likelihood of autoregressive models, against distributions that are known, and samples of such models."""

import math

import pytest
import torch

from maskgit_lab.decoding.autoregressive import Autoregressive
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.nets.orders import Raster, Spiral
from maskgit_lab.objectives.autoregressive import next_token_cross_entropy, next_token_cross_entropy_by_image

K, SIDE = 4, 4
N = SIDE * SIDE
OF_THE_NEXT = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.05, 0.8, 0.05, 0.1], [0.3, 0.3, 0.2, 0.2], [0.1, 0.2, 0.6, 0.1]])
P = torch.tensor([0.6, 0.25, 0.1, 0.05])


class Independent:
    """Every code is drawn alike."""

    of_one, of_the_next = P, P.expand(K, K)


class Markov:
    """Each code depends on the one before it, row by row, as one that goes on for ever."""

    of_one, of_the_next = torch.linalg.matrix_power(OF_THE_NEXT.double(), 200)[0].float(), OF_THE_NEXT


def drawn(chain, n_images, generator):
    codes = torch.multinomial(chain.of_one, n_images, replacement=True, generator=generator)[:, None]
    while codes.shape[1] < N:
        codes = torch.cat([codes, torch.multinomial(chain.of_the_next[codes[:, -1]], 1, generator=generator)], dim=1)
    return codes, torch.zeros(n_images, dtype=torch.int64)


def entropy(chain):
    """In nats per token: H(x_1) / N + (N - 1) / N H(x_2 | x_1)."""
    first = -(chain.of_one * chain.of_one.log()).sum().item()
    others = -(chain.of_one[:, None] * chain.of_the_next * chain.of_the_next.log()).sum().item()
    return (first + (N - 1) * others) / N


@pytest.fixture(
    scope="module", params=[(Independent, Raster, 60), (Markov, Raster, 120), (Markov, Spiral, 300)], ids=str
)
def trained(request):
    """A distribution, and a small network that was trained on codes drawn from it."""
    chain, order, steps = request.param
    torch.manual_seed(0)
    sizes = {"n_codes": K, "n_classes": 1, "n_tokens": N, "depth": 1, "heads": 2, "width": 32, "mlp_width": 64}
    net = CausalTransformer(**sizes, dropout=0.0, order=order()(SIDE, SIDE).tolist())
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        codes, labels = drawn(chain, 128, generator)
        optimizer.zero_grad()
        next_token_cross_entropy(net(codes, labels), codes).backward()
        optimizer.step()
        schedule.step()
    return chain, net.eval()


@torch.no_grad()
def test_the_nll_of_a_known_distribution_is_its_entropy_in_any_order(trained):
    chain, net = trained
    codes, labels = drawn(chain, 4000, torch.Generator().manual_seed(1))
    nll_B = next_token_cross_entropy_by_image(net(codes, labels), codes)
    nll, error = nll_B.mean().item(), nll_B.std().item() / math.sqrt(len(codes))
    print(f"{chain.__name__}: {nll:.4f} ± {error:.4f} nats per token, the entropy is {entropy(chain):.4f}")
    assert nll == pytest.approx(entropy(chain), rel=0.02) and error < 0.005


def test_samples_have_the_frequencies_of_codes_and_of_pairs(trained):
    chain, net = trained
    n_images = 1000
    generators = [torch.Generator().manual_seed(i) for i in range(n_images)]
    with torch.inference_mode():
        tokens = torch.full((n_images, N), net.mask_id)
        made = Autoregressive()(net, tokens, torch.zeros(n_images, dtype=torch.int64), generators).tokens
    share = torch.bincount(made.flatten(), minlength=K) / made.numel()
    assert (share - chain.of_one).abs().max() < 0.03
    pairs = torch.bincount((made[:, :-1] * K + made[:, 1:]).flatten(), minlength=K * K).view(K, K)
    expected = chain.of_one[:, None] * chain.of_the_next
    assert (pairs / pairs.sum() - expected).abs().max() < 0.03


def test_it_is_the_log_likelihood_of_the_whole_image(generator):
    logits, codes = torch.randn(5, N, K, generator=generator), torch.randint(K, (5, N), generator=generator)
    by_hand = -logits.log_softmax(-1).gather(-1, codes[..., None]).sum(dim=(1, 2)) / N
    assert torch.allclose(next_token_cross_entropy_by_image(logits, codes), by_hand, atol=1e-6)
    assert next_token_cross_entropy(logits, codes).item() == pytest.approx(by_hand.mean().item(), abs=1e-6)


def test_smoothing_spreads_a_share_of_the_target_over_all_codes(generator):
    logits, codes = torch.randn(3, N, K, generator=generator), torch.randint(K, (3, N), generator=generator)
    log_p = logits.log_softmax(-1)
    target = torch.nn.functional.one_hot(codes, K) * 0.9 + 0.1 / K
    expected = -(target * log_p).sum(-1).mean().item()
    assert next_token_cross_entropy(logits, codes, 0.1).item() == pytest.approx(expected, abs=1e-6)
