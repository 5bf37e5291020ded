"""Small pictures for tests, and how they are framed."""

import numpy as np
from PIL import Image

FRAMING = {"size": 8, "crop_scale": [0.8, 1.0], "flip": True, "seed": 0}


def picture(seed: int = 0, size=(12, 10)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)
