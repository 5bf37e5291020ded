"""A study: the points of runs that may be compared with each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.points import DECODER, Point, Setting, Value


@dataclass(frozen=True)
class Study(Group):
    """Points of MaskGIT models, over schedules and T."""

    choices: Sequence[Point] = ()  # of other samples, by which choice temperatures were chosen; they are in no curve
    baselines: Sequence[Baseline] = ()  # autoregressive models that were measured alike, on the same tokens

    @cached_property
    def coupled(self) -> list[Point]:
        """Points that were decoded by the schedule of the training."""
        return [p for p in self.points if p.decode_schedule == p.schedule]

    @cached_property
    def main_setting(self) -> Setting:
        """The most common combination of knobs where decoding follows training."""
        return _most_common(self.coupled or self.points)

    @cached_property
    def main(self) -> list[Point]:
        """Points of the curves over T: decoded by the schedule of the training, at the main setting."""
        return [p for p in self.coupled if p.setting == self.main_setting]

    @cached_property
    def decoupled(self) -> list[Point]:
        """Points of the square of training and decoding schedules, its diagonal included; none without any off it."""
        has_some = len(self.coupled) < len(self.points)
        return [p for p in self.points if p.setting == self.main_setting] if has_some else []

    @property
    def hidden(self) -> int:
        """How many points are in no section, since their settings differ from the main ones."""
        swept = (p for knob in self._varied for points in self.along(knob).values() for p in points)
        return len(self.points) - len({id(point) for point in (*self.main, *self.decoupled, *swept)})

    @cached_property
    def axes(self) -> list[str]:
        """Knobs with several values, all of them numbers; points without the knob are left out."""
        known = {key: values - {None} for key, values in self._varied.items()}
        return [key for key, values in known.items() if len(values) > 1 and all(isinstance(v, float) for v in values)]

    @cached_property
    def words(self) -> list[str]:
        """All other knobs with several values, of which one may be that there is none; the decoder is one of them."""
        return [key for key in self._varied if key not in self.axes]

    def along(self, knob: str) -> dict[str, list[Point]]:
        """By schedule, the points that differ from the main setting in this knob alone.

        Only those of models that were measured with several of its values. Different decoders have different knobs,
        so each is taken at its own most common setting.
        """
        by_model: dict[tuple[str, str], list[Point]] = defaultdict(list)
        for point in self._comparable(knob):
            by_model[point.schedule, point.model].append(point)
        found: dict[str, list[Point]] = defaultdict(list)
        for (schedule, _), points in by_model.items():
            if len({point.knob(knob) for point in points}) > 1:
                found[schedule] += points
        return dict(found)

    @cached_property
    def _varied(self) -> dict[str, set[Value | None]]:
        """The values of each knob that has several; None is one of them where some points have no such knob."""
        keys = sorted({key for point in self.points for key, _ in point.setting})
        values = {key: {point.knob(key) for point in self.points} for key in keys}
        return {key: several for key, several in values.items() if len(several) > 1}

    def _comparable(self, knob: str) -> list[Point]:
        if knob == DECODER:
            names = {p.knob(DECODER) for p in self.coupled}
            common = {name: _most_common(p for p in self.coupled if p.knob(DECODER) == name) for name in names}
            return [p for p in self.coupled if p.setting == common[p.knob(DECODER)]]
        others = _without(self.main_setting, knob)
        alike = [p for p in self.coupled if _without(p.setting, knob) == others]
        return [p for p in alike if p.knob(knob) is not None] if knob in self.axes else alike


def _most_common(points: Iterable[Point]) -> Setting:
    return Counter(point.setting for point in points).most_common(1)[0][0]


def _without(setting: Setting, knob: str) -> Setting:
    return tuple((key, value) for key, value in setting if key != knob)
