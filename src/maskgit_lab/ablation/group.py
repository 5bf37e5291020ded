"""A group of points: what was measured in the same way, of models that were trained in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from maskgit_lab.ablation.code import Code
from maskgit_lab.ablation.points import Point
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.metrics.registry import TABLE, Metric


@dataclass(frozen=True)
class Group:
    """Points that were measured in the same way, of models that were trained in the same way."""

    settings: Mapping[str, Any]  # what all of the rows agree in
    training: Mapping[str, Any]  # what all of the models' configs agree in, by dotted keys; empty if that is not known
    points: Sequence[Point]  # every point
    code: Code = field(default_factory=Code)  # that they come from
    debug: str = ""  # the debug config of runs that are only tries
    apart: tuple[str, ...] = ()  # what distinguishes it from groups of the same heading, in short

    @property
    def data(self) -> str:
        return str(self.settings.get("data", "unknown data"))

    @property
    def features(self) -> str:
        return str(self.settings.get("features", "no"))

    @property
    def n_samples(self) -> int:
        return int(self.settings["n_samples"])

    @cached_property
    def distance(self) -> Metric:
        """The Fréchet distance: FID with the Inception network of 2015, FD with any other extractor."""
        return TABLE["fid"].on(self.features)

    @property
    def measured(self) -> str:
        """What was measured, and how, in short."""
        reference = self.settings.get("reference", "none")
        text = f"{self.data}, {self.features} features, {self.n_samples:,} samples, reference {reference}"
        return f"Debug runs ({self.debug}): {text}" if self.debug else text

    @property
    def heading(self) -> str:
        """What distinguishes it from most others."""
        return ", ".join([self.measured, *([self.code.label] if self.code.label else [])])

    @property
    def title(self) -> str:
        """What distinguishes it from all others."""
        return ", ".join([self.heading, *self.apart])

    @property
    def runs(self) -> list[Run]:
        """Where its points come from."""
        return list({run.path: run for point in self.points for run, _ in point.sources}.values())

    @cached_property
    def seeds(self) -> list[Seeds]:
        """Of the models; further draws of their samples add none."""
        return sorted({point.seeds for point in self.points})
