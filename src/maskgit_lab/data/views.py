"""Pictures as training and evaluation see them: random resized crops and flips, or the centre.

Shapes: n images, size x size pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode

from maskgit_lab.data.pictures import Pictures
from maskgit_lab.data.source import Images, Key
from maskgit_lab.errors import UserError
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.sizes import MOST_SIDE

CROPPED_VIEWS = 10  # of an image that are worth keeping where crops are random


@dataclass(frozen=True)
class Framing:
    """How a picture becomes a square of `size` pixels.

    Raises:
        UserError: values out of range.
    """

    size: int  # height and width
    # Smallest and largest area of a random crop, as a fraction of the largest that has its ratio, in (0, 1]; None takes
    # the centre, as evaluation does.
    crop_scale: tuple[float, ...] | None
    flip: bool  # whether every other view is mirrored
    seed: int  # of crops and flips
    # Smallest and largest ratio of its width to its height, before it is resized to a square: 1 stretches nothing.
    crop_ratio: tuple[float, ...] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MOST_SIDE:
            raise UserError(f"data.size={self.size} is not possible: give a whole number from 1 to {MOST_SIDE}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"data.seed={self.seed} is not possible: give a whole number from 0 to {2**32 - 1}")
        scale = self.crop_scale
        if scale is not None and not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
            raise UserError(
                f"data.crop_scale={list(scale)} is not possible: give the smallest and the largest fraction of the "
                "area, such as [0.8,1.0], or null for the centre"
            )
        ratio = self.crop_ratio
        if not (len(ratio) == 2 and 0 < ratio[0] <= ratio[1] < math.inf):
            raise UserError(
                f"data.crop_ratio={list(ratio)} is not possible: give 1, or the smallest and the largest ratio of "
                "width to height, such as [0.75,1.3333]"
            )

    @property
    def n_views(self) -> int:
        """How many views of a picture are worth keeping: ten random crops, both sides of the centre, or the centre."""
        return CROPPED_VIEWS if self.crop_scale is not None else 2 * self.flip

    def centre(self, picture: Image.Image) -> Image.Image:
        """The middle square of the picture, resized."""
        square = TF.center_crop(picture, [min(picture.size)])  # first, so that a long strip never becomes huge
        return TF.resize(square, [self.size, self.size], InterpolationMode.BICUBIC)

    def view(self, picture: Image.Image, index: int, view: int) -> Image.Image:
        """A view of picture number `index`, always the same for the same numbers.

        Mirrored views take turns with others, and which comes first is random: no two views in a row are the same, and
        of all pictures half are mirrored at any time ("alternating flip", Jordan 2024, arXiv 2404.00498).
        """
        framed = self.centre(picture) if self.crop_scale is None else self._crop(picture, index, view)
        return TF.hflip(framed) if self.flip and (mix_seeds(self.seed, index) + view) % 2 else framed

    def _crop(self, picture: Image.Image, index: int, view: int) -> Image.Image:
        with lent_generator(mix_seeds(self.seed, index, view)):
            box = self.box(*picture.size)
        return TF.resized_crop(picture, *box, [self.size, self.size], InterpolationMode.BICUBIC)

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """A random crop of a picture: its top, left, height and width.

        Unlike in torchvision's RandomResizedCrop, the area is a share of the largest crop that fits and not of the
        picture: a square of 0.8 of a picture of 4 x 3 does not fit into it, and torchvision takes the centre each time.
        """
        assert self.crop_scale is not None
        area, shape, down, right = torch.rand(4).tolist()
        least, most = self.crop_scale
        narrow, wide = self.crop_ratio
        side, ratio = math.sqrt(least + area * (most - least)), narrow * (wide / narrow) ** shape
        largest = min(width, height * ratio)
        w, h = max(1, round(side * largest)), max(1, round(side * largest / ratio))
        return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w


class Views(Images):
    """Pictures framed: `views[i]` is the centre of picture i, `views[i, v]` its v-th view."""

    decodes: ClassVar[bool] = True

    def __init__(self, pictures: Pictures, framing: Framing, indices: Sequence[int] | Tensor | None = None) -> None:
        self.pictures = pictures
        self.framing = framing
        self.indices = torch.arange(len(pictures.labels)) if indices is None else torch.as_tensor(indices)
        self.labels = pictures.labels[self.indices]

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        index, view = key if isinstance(key, tuple) else (key, None)
        source = int(self.indices[index])
        picture = self.pictures.load(source)
        framed = self.framing.centre(picture) if view is None else self.framing.view(picture, source, view)
        return TF.pil_to_tensor(framed) / 255, self.labels[index]

    @property
    def n_views(self) -> int:
        return self.framing.n_views

    def subset(self, indices: Sequence[int]) -> Views:
        return Views(self.pictures, self.framing, self.indices[list(indices)])

    def name(self, index: int) -> str:
        return self.pictures.name(int(self.indices[index]))

    def check(self, index: int) -> None:
        self.pictures.check(int(self.indices[index]))

    def identity(self) -> dict[str, Any]:
        """What the images depend on."""
        return {"pictures": self.pictures.fingerprint(), "framing": asdict(self.framing), "n": self.indices.tolist()}


@contextmanager
def lent_generator(seed: int) -> Iterator[None]:
    """Seeds torch's CPU generator, from which torchvision draws, and restores it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
