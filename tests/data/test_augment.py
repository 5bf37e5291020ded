"""What a classifier sees: one augmentation of real images and of samples, and the centre in a test."""

import pytest
import torch

from maskgit_lab.data.augment import Augmentation, Augmented, Centre
from maskgit_lab.data.folders import image_folder
from maskgit_lab.data.source import InMemory, some_images
from picture_files import FRAMING

IMAGENET = Augmentation(12, (0.08, 1.0), flip=True, n_ops=2)
SMALL = Augmentation(pad=0.125, flip=True)


def images():
    return InMemory(torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8), torch.arange(4))


@pytest.mark.parametrize(("augmentation", "size"), [(IMAGENET, 12), (SMALL, 16), (Augmentation(12, pad=0.25), 12)])
def test_a_view_depends_only_on_image_view_and_seed(augmentation, size):
    augmented = Augmented(images(), augmentation, seed=0)
    before = torch.get_rng_state()
    first, label = augmented[2, 5]
    assert torch.equal(torch.get_rng_state(), before) and label == 2
    torch.manual_seed(9)
    assert torch.equal(augmented[2, 5][0], first)
    others = [augmented[2, view][0] for view in range(10)]
    assert sum(not torch.equal(first, other) for other in others) >= 7
    assert first.shape == (3, size, size) and first.min() >= 0 and first.max() <= 1


@pytest.mark.parametrize("augmentation", [IMAGENET, SMALL, Augmentation()])
def test_a_real_image_and_a_sample_with_the_same_pixels_have_the_same_views(folder, augmentation):
    real = image_folder(str(folder), **FRAMING).train
    assert not torch.equal(real[0, 1][0], real[0][0])  # it has views of its own
    samples = InMemory((some_images(real, 100) * 255).round().byte(), real.labels)
    of_real, of_samples = (Augmented(each, augmentation, seed=3) for each in (real, samples))
    for index in range(3):
        for view in range(4):
            assert torch.equal(of_real[index, view][0], of_samples[index, view][0])


def test_evaluation_sees_the_unchanged_images():
    plain = images()
    augmented = Augmented(plain, IMAGENET, seed=0)
    assert torch.equal(augmented[1][0], plain[1][0])
    assert augmented.subset([3, 1]).labels.tolist() == [3, 1]


def test_a_crop_after_padding_moves_the_image_and_flips_mirror_it():
    image = torch.arange(1, 65, dtype=torch.uint8).view(1, 8, 8).expand(3, 8, 8)
    padded = torch.zeros(10, 10, dtype=torch.uint8)
    padded[1:9, 1:9] = image[0]
    crops = [padded[i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    seen = set()
    for seed in range(200):
        view = Augmentation(pad=0.125, flip=True)(image, seed)[0]
        (found,) = [
            (i, mirrored)
            for i, crop in enumerate(crops)
            for mirrored in (False, True)
            if torch.equal(view, crop.flip(-1) if mirrored else crop)
        ]
        seen.add(found)
    assert len(seen) == 18
    assert {found for found in seen if not found[1]} == {(i, False) for i in range(9)}


def test_rand_augment_comes_after_the_crop(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "torchvision.transforms.RandAugment.forward", lambda self, image: seen.append(image.shape) or image
    )
    view = Augmentation(12, (0.08, 1.0), n_ops=2)(images().images[0], 0)
    assert seen == [(3, 12, 12)] and view.shape == (3, 12, 12)


def test_a_test_sees_the_centre():
    batch = torch.rand(2, 3, 16, 16)
    assert torch.equal(Centre()(batch), batch)
    assert torch.equal(Centre(None, 8)(batch), batch[:, :, 4:12, 4:12])
    assert Centre(32, 28)(batch).shape == (2, 3, 28, 28)
    assert torch.allclose(Centre(8, 8)(torch.full((1, 3, 16, 16), 0.5)), torch.tensor(0.5))
