"""Pictures as training and evaluation see them: random resized crops and flips, or the centre.

Shapes: n images, size x size pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomResizedCrop

from maskgit_lab.data.pictures import Pictures
from maskgit_lab.data.source import Images, Key
from maskgit_lab.errors import UserError
from maskgit_lab.seeds import mix_seeds

RATIO = (3 / 4, 4 / 3)  # of width to height of a crop, before it is resized


@dataclass(frozen=True)
class Framing:
    """How a picture becomes a square of `size` pixels.

    Raises:
        UserError: values out of range.
    """

    size: int  # height and width
    # Smallest and largest fraction of the picture's area in a random crop, in (0, 1]; None takes the centre, as
    # evaluation does.
    crop_scale: tuple[float, ...] | None
    flip: bool  # whether half of the views are mirrored
    seed: int  # of crops and flips

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"data.size={self.size} is not possible: give a whole number of at least 1")
        scale = self.crop_scale
        if scale is not None and not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
            raise UserError(
                f"data.crop_scale={list(scale)} is not possible: give the smallest and the largest fraction of the "
                "area, such as [0.8,1.0], or null for the centre"
            )

    def centre(self, picture: Image.Image) -> Image.Image:
        """The middle square of the picture, resized."""
        square = TF.center_crop(picture, [min(picture.size)])  # first, so that a long strip never becomes huge
        return TF.resize(square, [self.size, self.size], InterpolationMode.BICUBIC)

    def view(self, picture: Image.Image, seed: int) -> Image.Image:
        """A random view of the picture, always the same for the same seed."""
        with lent_generator(seed):
            if self.crop_scale is None:
                framed = self.centre(picture)
            else:
                box = RandomResizedCrop.get_params(picture, list(self.crop_scale), list(RATIO))
                framed = TF.resized_crop(picture, *box, [self.size, self.size], InterpolationMode.BICUBIC)
            return TF.hflip(framed) if self.flip and torch.rand(()) < 0.5 else framed


class Views(Images):
    """Pictures framed: `views[i]` is the centre of picture i, `views[i, v]` its v-th random view."""

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
        if view is None:
            framed = self.framing.centre(picture)
        else:
            framed = self.framing.view(picture, mix_seeds(self.framing.seed, source, view))
        return TF.pil_to_tensor(framed) / 255, self.labels[index]

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
