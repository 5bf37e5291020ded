"""Small pictures for tests, and how they are framed."""

import struct
import zlib

import numpy as np
from PIL import Image

FRAMING = {"size": 8, "crop_scale": [0.8, 1.0], "flip": True, "seed": 0}


def picture(seed: int = 0, size=(12, 10)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A PNG file of RGB values, which Pillow would not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
