"""RandAugment of images for a classifier."""

import torch

from maskgit_lab.data.augment import Augmented
from maskgit_lab.data.source import InMemory


def images():
    return InMemory(torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(4))


def test_a_view_depends_only_on_image_view_and_seed():
    augmented = Augmented(images(), 2, 9, seed=0)
    before = torch.get_rng_state()
    first, label = augmented[2, 5]
    assert torch.equal(torch.get_rng_state(), before) and label == 2
    torch.manual_seed(9)
    assert torch.equal(augmented[2, 5][0], first)
    others = [augmented[2, view][0] for view in range(10)]
    assert sum(not torch.equal(first, other) for other in others) >= 7
    assert first.shape == (3, 16, 16) and first.min() >= 0 and first.max() <= 1


def test_evaluation_sees_the_unchanged_images():
    plain = images()
    augmented = Augmented(plain, 2, 9, seed=0)
    assert torch.equal(augmented[1][0], plain[1][0])
    assert augmented.subset([3, 1]).labels.tolist() == [3, 1]
