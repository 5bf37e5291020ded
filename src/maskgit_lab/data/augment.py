"""What a classifier sees of images, real ones and samples alike: augmented in training, the centre in a test.

Shapes: B images, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
import torchvision.transforms.functional as TF
from jaxtyping import Float, UInt8
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandAugment, RandomResizedCrop

from maskgit_lab.data.source import Images, Key
from maskgit_lab.data.views import lent_generator
from maskgit_lab.seeds import mix_seeds


@dataclass(frozen=True)
class Augmentation:
    """A crop, a flip and RandAugment, in the order of torchvision's reference training of classifiers."""

    size: int | None = None  # height and width of what it makes; None: those of the image
    crop_scale: Sequence[float] | None = None  # smallest and largest share of the area of a random resized crop
    crop_ratio: Sequence[float] = (3 / 4, 4 / 3)  # smallest and largest ratio of its width to its height
    pad: float = 0.0  # share of the size that is added in black on each side, before a crop that takes as much away
    flip: bool = False  # whether half of the views are mirrored
    n_ops: int = 0  # operations of RandAugment (Cubuk et al. 2020)
    magnitude: int = 9  # of each operation, in [0, 30]

    def __call__(self, image: UInt8[Tensor, "3 H W"], seed: int) -> UInt8[Tensor, "3 h w"]:
        """A view of an image, always the same for the same seed."""
        with lent_generator(seed):
            view = self._resized_crop(image) if self.crop_scale is not None else self._shifted(image)
            if self.flip and torch.rand(()) < 0.5:
                view = TF.hflip(view)
            return self._rand_augment(view) if self.n_ops > 0 else view

    @cached_property
    def _rand_augment(self) -> RandAugment:
        return RandAugment(self.n_ops, self.magnitude, interpolation=InterpolationMode.BILINEAR)

    def _resized_crop(self, image: Tensor) -> Tensor:
        assert self.crop_scale is not None
        box = RandomResizedCrop.get_params(image, list(self.crop_scale), list(self.crop_ratio))
        size = self.size or image.shape[-1]
        return TF.resized_crop(image, *box, [size, size], antialias=True)

    def _shifted(self, image: Tensor) -> Tensor:
        size = self.size or image.shape[-1]
        image = image if size == image.shape[-1] else TF.resize(image, [size, size], antialias=True)
        if (padding := round(self.pad * size)) == 0:
            return image
        top, left = torch.randint(2 * padding + 1, (2,)).tolist()
        return F.pad(image, (padding,) * 4)[:, top : top + size, left : left + size]


class Augmented(Images):
    """Images whose views are an augmentation of what evaluation sees of them, whatever views they have of their own.

    So a real image and a sample with the same pixels have the same views.

    Args:
        images: real ones or samples, of 8 bits.
        augmentation: of each view.
        seed: a view depends only on (seed, index of the image, view).
    """

    decodes: ClassVar[bool] = True

    def __init__(self, images: Images, augmentation: Augmentation, seed: int) -> None:
        self.images = images
        self.labels = images.labels
        self.augmentation, self.seed = augmentation, seed

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        if isinstance(key, int):
            return self.images[key]
        index, view = key
        image, label = self.images[index]
        seed = mix_seeds(self.seed, index, view)
        return self.augmentation((image * 255).round().byte(), seed) / 255, label

    def subset(self, indices: Sequence[int]) -> Augmented:
        return Augmented(self.images.subset(indices), self.augmentation, self.seed)


@dataclass(frozen=True)
class Centre:
    """What a test sees: images resized, then their centre."""

    resize: int | None = None  # height and width that images are resized to; None: as they are
    size: int | None = None  # height and width of the centre; None: all of it

    def __call__(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 h w"]:
        """The centres of square images."""
        if self.resize is not None:
            images = TF.resize(images, [self.resize, self.resize], antialias=True)
        return images if self.size is None else TF.center_crop(images, [self.size, self.size])
