"""scikit-learn's handwritten digits: 1,797 scans of 8 x 8 pixels in 10 classes, included in that package."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.errors import UserError

SCAN_SIZE = 8
SCAN_MAX = 16
MOST_SIZE = 256  # 1.4 GB of images


def digits(size: int = 16, test_fraction: float = 0.5, seed: int = 0) -> ImageData:
    """The digits as RGB images, enlarged bicubically, with a held-out split that is stratified by class.

    Args:
        size: height and width in pixels, from 8 to 256.
        test_fraction: fraction of the scans to hold out, in (0, 1).
        seed: of the split.

    Raises:
        UserError: a size or a fraction out of range.
    """
    if size < SCAN_SIZE:
        raise UserError(f"data.size={size} is smaller than the scans: give at least {SCAN_SIZE}")
    if size > MOST_SIZE:
        raise UserError(f"data.size={size} is far larger than the scans: give at most {MOST_SIZE}")
    if not 0 <= seed < 2**32:
        raise UserError(f"data.seed={seed} is not possible: give a whole number from 0 to {2**32 - 1}")
    if not 0.05 <= test_fraction <= 0.95:
        raise UserError(f"data.test_fraction={test_fraction} is not possible: give a fraction from 0.05 to 0.95")
    pixels, classes = load_digits(return_X_y=True)
    images = _enlarge(torch.tensor(pixels, dtype=torch.float32).view(-1, 1, SCAN_SIZE, SCAN_SIZE) / SCAN_MAX, size)
    labels = torch.tensor(classes, dtype=torch.int64)
    train, test = train_test_split(range(len(labels)), test_size=test_fraction, random_state=seed, stratify=classes)
    return ImageData(
        name="digits",
        train=InMemory(images[train], labels[train]),
        test=InMemory(images[test], labels[test]),
        class_names=[str(digit) for digit in range(10)],
        size=size,
        fingerprint=_fingerprint(images, labels, train),
    )


def _enlarge(scans: Tensor, size: int) -> Tensor:
    """RGB images whose values are multiples of 1/255, as in any image file."""
    large = F.interpolate(scans, size=(size, size), mode="bicubic", align_corners=False)
    return ((large.clamp(0, 1) * 255).round() / 255).expand(-1, 3, -1, -1).contiguous()


def _fingerprint(images: Tensor, labels: Tensor, train: list[int]) -> str:
    digest = hashlib.sha256()
    for part in (images, labels, torch.tensor(train)):
        digest.update(part.numpy().tobytes())
    return digest.hexdigest()[:12]
