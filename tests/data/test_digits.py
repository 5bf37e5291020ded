"""The embedded dataset."""

import pytest
import torch

from maskgit_lab.data.digits import digits
from maskgit_lab.data.source import some_images
from maskgit_lab.errors import UserError


@pytest.fixture(scope="module")
def data():
    return digits()


def test_sizes_and_ranges(data):
    assert (len(data.train), len(data.test), data.n_classes) == (898, 899, 10)
    images = some_images(data.train, 2000)
    assert images.shape == (898, 3, 16, 16) and images.min() == 0 and images.max() == 1
    assert torch.equal(images * 255, (images * 255).round())
    assert torch.equal(data.train.labels, torch.stack([data.train[i][1] for i in range(898)]))


def test_the_split_is_stratified(data):
    held_out = torch.bincount(torch.stack([label for _, label in data.test]))
    every = held_out + torch.bincount(data.train.labels)
    assert (held_out / every - 0.5).abs().max() < 0.01


def test_no_scan_is_in_both_splits(data):
    train = {image.numpy().tobytes() for image in some_images(data.train, 2000)}
    test = {image.numpy().tobytes() for image in some_images(data.test, 2000)}
    assert not train & test


def test_the_fingerprint_depends_on_pixels_and_split(data):
    assert digits().fingerprint == data.fingerprint
    assert len({data.fingerprint, digits(seed=1).fingerprint, digits(size=8).fingerprint}) == 3


@pytest.mark.parametrize("settings", [{"size": 4}, {"test_fraction": 0.0}, {"test_fraction": 1.5}])
def test_impossible_settings_are_user_errors(settings):
    with pytest.raises(UserError, match=r"data\."):
        digits(**settings)
