"""Autoregressive models as baselines: those that were trained and decoded alike, and the studies they belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from maskgit_lab.ablation.baseline import Baseline, setting_of
from maskgit_lab.ablation.code import WHOLE, Code, File
from maskgit_lab.ablation.curves import Curve, level
from maskgit_lab.ablation.floors import ALIKE
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.grouping import families, shared
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.points import Point, Setting
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.titles import TARGET, titled
from maskgit_lab.metrics.registry import BOUND, EXACT, Metric

K = TypeVar("K")
MEASURED_ALIKE = (*ALIKE, "n_samples", "labels")  # settings in which a study and its baselines agree
TRAINED_ALIKE = ("data.", "tokenizer.", "tokens.", "max_images.")  # settings of the training in which they agree


def baselines(runs: Iterable[Run], origins: Origins | None = None) -> list[Baseline]:
    """The baselines of runs, no two of one title: the paper's first, and then those of most seeds.

    Args:
        runs: all of them, or what was chosen of them.
        origins: where the models of all runs come from; None: as these runs say.
    """
    runs = list(runs)
    known = origins or Origins.of(runs)
    alike = [pair for family in families(runs, lambda run: run.sequential, known) for pair in family]
    trained = titled([Group(*shared(points, code, known.settings)) for code, points in alike])
    found = [
        Baseline(*shared(same, code, known.settings), apart=whole.apart, setting=setting)
        for whole, (code, points) in zip(trained, alike, strict=True)
        for setting, same in _by_setting(points).items()
    ]
    return sorted(found, key=_interest)


def with_baselines(every: Sequence[Study], known: Sequence[Baseline]) -> list[Study]:
    """The studies, each with the baselines that it may be compared with."""
    return [replace(study, baselines=[one for one in known if comparable(study, one)]) for study in every]


def comparable(study: Group, baseline: Group) -> bool:
    """Whether both were measured alike, by the same code, on models of the same tokens, as far as that is known."""
    ours, theirs = study.settings, baseline.settings
    cas = {settings.get("cas_classifier") for settings in (ours, theirs)} - {None}
    return (
        all(ours.get(key) == theirs.get(key) for key in MEASURED_ALIKE)
        and len(cas) < 2
        and study.debug == baseline.debug
        and _is_recorded(study.code) == _is_recorded(baseline.code)
        and _agree(_files(study.code), _files(baseline.code))
        and _agree(_tokens(study.training), _tokens(baseline.training))
    )


def trained_alike(study: Group, baseline: Group) -> bool:
    """Whether sizes, losses and optimisation of both transformers agree, as far as they have the same settings."""
    ours, theirs = (
        {key.removeprefix(group): str(value) for key, value in one.training.items() if key.startswith(group)}
        for one, group in ((study, "mvtm."), (baseline, "autoregressive."))
    )
    return _agree({key: value for key, value in ours.items() if not key.endswith(TARGET)}, theirs)


def level_of(baseline: Baseline, metric: Metric) -> Curve | None:
    """A metric of a baseline, as a curve of one x; its exact likelihood is what a bound is compared with."""
    return level(baseline.points, metric, EXACT if metric.key == BOUND else metric.key, baseline.name)


def _by_setting(points: Iterable[Point]) -> dict[Setting, list[Point]]:
    groups: dict[Setting, list[Point]] = defaultdict(list)
    for point in points:
        groups[setting_of(point)].append(point)
    return groups


def _interest(baseline: Baseline) -> tuple[Any, ...]:
    """Less for more of it."""
    return (
        bool(baseline.debug),
        baseline.code.age,
        not baseline.is_papers,
        -len(baseline.seeds),
        -len(baseline.points),
        baseline.title,
    )


def _is_recorded(code: Code) -> bool:
    """Whether there is a fingerprint of it; earlier versions left none."""
    return bool(code.versions) and not code.is_earlier


def _files(code: Code) -> dict[File, str]:
    """The files that are known; fingerprints are no help, since either kind of model has files of its own."""
    return {file: version for file, version in code.versions.items() if file[1] != WHOLE}


def _agree(first: Mapping[K, str], second: Mapping[K, str]) -> bool:
    """Whether no key of both has two values."""
    return all(second.get(file, version) == version for file, version in first.items())


def _tokens(training: Mapping[str, Any]) -> dict[str, str]:
    """What the tokens that a model was trained on depend on, apart from the tokenizer's seed."""
    return {key: str(value) for key, value in training.items() if f"{key}.".startswith(TRAINED_ALIKE)}
