"""Image augmentation for training a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torchvision.transforms import RandAugment

from maskgit_lab.data.source import Images, Key
from maskgit_lab.data.views import lent_generator
from maskgit_lab.seeds import mix_seeds


class Augmented(Images):
    """Images with views made by RandAugment (Cubuk et al. 2020); evaluation sees the unchanged images.

    Args:
        images: the images, without views of their own.
        n_ops: operations per view.
        magnitude: of each operation, in [0, 30].
        seed: a view depends only on (seed, image, view).
    """

    decodes: ClassVar[bool] = True

    def __init__(self, images: Images, n_ops: int, magnitude: int, seed: int) -> None:
        self.images = images
        self.labels = images.labels
        self.n_ops, self.magnitude, self.seed = n_ops, magnitude, seed
        self.change = RandAugment(n_ops, magnitude)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        if isinstance(key, int):
            return self.images[key]
        index, view = key
        image, label = self.images[index]
        with lent_generator(mix_seeds(self.seed, index, view)):
            changed = self.change((image * 255).round().byte())
        return changed / 255, label

    def subset(self, indices: Sequence[int]) -> Augmented:
        return Augmented(self.images.subset(indices), self.n_ops, self.magnitude, self.seed)
