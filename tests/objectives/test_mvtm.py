"""The masked cross-entropy and the NLL, against their formulas."""

import math

import pytest
import torch

from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.objectives.mvtm import masked_cross_entropy, masked_nll

B, N, K = 3, 6, 5


def batch():
    torch.manual_seed(0)
    mask = torch.tensor([[1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 0, 0]]).bool()
    return torch.randn(B, N, K), torch.randint(0, K, (B, N)), mask


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_is_averaged_within_each_image_and_then_over_the_batch(smoothing):
    logits, targets, mask = batch()
    log_p = logits.log_softmax(dim=-1)
    soft = torch.nn.functional.one_hot(targets, K) * (1 - smoothing) + smoothing / K
    per_token = -(soft * log_p).sum(dim=-1)
    expected = torch.stack([per_token[i][mask[i]].mean() for i in range(B)]).mean()
    assert masked_cross_entropy(logits, targets, mask, smoothing).item() == pytest.approx(expected.item(), rel=1e-5)


def test_known_positions_do_not_count():
    logits, targets, mask = batch()
    changed = torch.where(mask[..., None], logits, torch.randn(B, N, K))
    assert masked_cross_entropy(logits, targets, mask) == masked_cross_entropy(changed, targets, mask)


def test_uniform_predictions_have_an_nll_of_log_k(generator):
    tokens, labels = torch.randint(0, K, (20, N)), torch.zeros(20, dtype=torch.int64)
    nll = masked_nll(lambda x, _: torch.zeros(*x.shape, K), tokens, labels, Cosine(), K, 3, generator)
    assert nll == pytest.approx(math.log(K), rel=1e-5)


def test_the_nll_sees_only_corrupted_tokens(generator):
    tokens, labels = torch.randint(0, K, (20, N)), torch.zeros(20, dtype=torch.int64)
    seen = []

    def predict(x, _):
        seen.append((x == K).any(dim=1).all().item() and torch.equal(x[x != K], tokens[x != K]))
        return torch.zeros(*x.shape, K)

    masked_nll(predict, tokens, labels, Cosine(), K, 4, generator)
    assert seen == [True] * 4
