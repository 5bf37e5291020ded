"""A baseline: autoregressive models, which draw one token at a time and so have no T to be drawn over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.points import DECODER, Point, Setting

AUTOREGRESSIVE = "autoregressive"
ORDER, CACHE = "order", "kv_cache"
# The baseline of the paper's Table 1: raster order, and samples of the distribution that was learned.
PAPERS = {DECODER: AUTOREGRESSIVE, ORDER: "raster", "temperature": 1.0, "top_k": "None", "top_p": 1.0, "guidance": 0.0}
FULL = {**PAPERS, CACHE: "True"}


@dataclass(frozen=True)
class Baseline(Group):
    """Points of autoregressive models of one order, decoded in one way."""

    setting: Setting = ()  # of the decoder, with the order of the tokens

    @property
    def plain_name(self) -> str:
        """What it is, by how it differs from the paper's baseline: `autoregressive, order spiral`."""
        return ", ".join([AUTOREGRESSIVE, *self._words()])

    @property
    def name(self) -> str:
        """What it is, and what sets it apart from others that are decoded alike."""
        return ", ".join([self.plain_name, *self.apart])

    @property
    def title(self) -> str:
        return f"{self.plain_name}: {super().title}"

    @property
    def is_papers(self) -> bool:
        """Whether it is decoded as the baseline of the paper's Table 1."""
        known = dict(self.setting)
        return all(known.get(key, value) == value for key, value in PAPERS.items())

    def _words(self) -> Iterator[str]:
        for key, value in self.setting:
            if key == CACHE:
                yield from [] if value == FULL[CACHE] else ["without a KV cache"]
            elif value != FULL.get(key):
                text = f"{value:g}" if isinstance(value, float) else value
                yield f"{key.replace('top_', 'top-').replace('_', ' ')} {text}"


def setting_of(point: Point) -> Setting:
    """The settings of the decoder, and the order in which it draws the tokens."""
    return tuple(sorted({**dict(point.setting), ORDER: str(point.row[ORDER])}.items()))
