"""Memorisation: copies of training images among samples are counted, and chance is not."""

import pytest
import torch

from maskgit_lab.metrics import memorisation
from maskgit_lab.metrics.features import Features
from maskgit_lab.metrics.memorisation import nearest_by_codes, nearest_by_features, share_nearer, threshold
from maskgit_lab.metrics.reference import reference_of
from maskgit_lab.metrics.scores import Choices, sample_scores

N = 1000


def normal(seed, n=N):
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))


def codes(seed, n=N):
    return torch.randint(4, (n, 12), generator=torch.Generator().manual_seed(seed))


TRAINING, HELD_OUT = normal(0), normal(1)


def memorised(samples):
    near = threshold(nearest_by_features(HELD_OUT, TRAINING))
    return share_nearer(nearest_by_features(samples, TRAINING), near)


def test_copies_are_memorised_and_held_out_images_are_not():
    assert memorised(TRAINING) == 1
    assert memorised(HELD_OUT) == pytest.approx(0.01, abs=0.0011) and memorised(HELD_OUT) < 0.01
    assert memorised(normal(2)) == pytest.approx(0.01, abs=0.01)  # other images of the same distribution


def test_copies_count_however_far_the_other_samples_are():
    assert memorised(torch.cat([TRAINING[:100], normal(2, 900) + 100])) == pytest.approx(0.1)


def test_distances_are_exact_and_the_same_in_blocks(monkeypatch):
    training = TRAINING.repeat(1, 64) + 1000  # far from 0, where products of matrices round
    assert (nearest_by_features(training[:70], training) == 0).all()
    x, y = HELD_OUT[:70], TRAINING
    by_definition = (x[:, None] - y).norm(dim=-1).amin(dim=1)
    assert torch.allclose(nearest_by_features(x, y), by_definition)
    monkeypatch.setattr(memorisation, "BLOCK", 32)
    assert torch.allclose(nearest_by_features(x, y), by_definition)


def test_grids_of_codes_are_compared_token_by_token():
    x, y = codes(0, 70), codes(1)
    by_definition = (x[:, None] != y).sum(dim=-1).amin(dim=1).float()
    assert torch.equal(nearest_by_codes(x, y), by_definition) and by_definition.max() > 1
    held_out = nearest_by_codes(codes(2), codes(0))
    near = threshold(held_out)
    assert share_nearer(nearest_by_codes(codes(0), codes(0)), near) == 1
    assert share_nearer(held_out, near) <= 0.01


def test_no_distance_is_nearer_where_held_out_images_are_copies_too():
    assert share_nearer(torch.zeros(10), threshold(torch.zeros(500))) == 0


def test_it_is_computed_only_where_it_is_known_how_near_held_out_images_are():
    known, samples = reference_of([Features(TRAINING)], N, N), Features(TRAINING)
    choices = Choices(("memorised",))
    assert sample_scores(samples, known, "vgg16", choices) == {}
