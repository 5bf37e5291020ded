"""Titles of studies: where headings are the same, what differs is added until no two titles are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.points import SHARED, canonical

HASHES = (  # named where plainer settings tell nothing apart
    *("labels", "features_weights", "precision_weights", "reference_fingerprint", "samples_fingerprint"),
    "cas_classifier",
)
MODEL, CODE, TRAINING = "model", "code", "training"
LAST = (MODEL, CODE)  # named where no setting tells anything apart
LONGEST = 32  # characters of a value
G = TypeVar("G", bound=Group)
TARGET = "._target_"  # at the end of the key of an object's class


def titled(every: Sequence[G]) -> list[G]:
    """The same groups, no two of one title: with what sets them apart in short, and a number where nothing does."""
    words = {heading: _words([s for s in every if s.heading == heading]) for heading in {s.heading for s in every}}
    found: dict[str, G] = {}
    for study in every:
        one = own = replace(study, apart=words[study.heading].pop(0))
        number = 2
        while one.title in found:
            one = replace(own, apart=(*own.apart, str(number)))
            number += 1
        found[one.title] = one
    return list(found.values())


def differences(every: Sequence[Group]) -> list[dict[str, Any]]:
    """For each study, the settings of evaluation and training in which studies of the same heading do not agree."""
    return [_apart(study, [other for other in every if other.heading == study.heading]) for study in every]


def _apart(study: Group, alike: Sequence[Group]) -> dict[str, Any]:
    """A study whose training is not known is not set apart from the others by that."""
    measured = _disagreed(study.settings, [other.settings for other in alike])
    trained = _disagreed(study.training, [other.training for other in alike if other.training])
    return measured | trained


def _disagreed(mine: Mapping[str, Any], every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: v for key, v in mine.items() if len({canonical(other.get(key)) for other in every}) > 1}


def _words(alike: Sequence[Group]) -> list[tuple[str, ...]]:
    """For each study of one heading, what sets it apart: setting by setting, the one that tells most of them apart."""
    details = [_details(study, apart) for study, apart in zip(alike, differences(alike), strict=True)]
    keys = list(dict.fromkeys(key for each in details for key in each))
    words = {key: [_word(study, each, key, keys) for study, each in zip(alike, details, strict=True)] for key in keys}
    chosen: list[str] = []
    for tier in (set(keys) - set(HASHES) - set(LAST), HASHES, LAST):
        possible = [key for key in keys if key in tier]
        while possible:
            best = max(possible, key=lambda key: _told_apart(words, [*chosen, key]))
            if _told_apart(words, [*chosen, best]) == _told_apart(words, chosen):
                break
            chosen.append(best)
    return [tuple(dict.fromkeys(words[key][i] for key in chosen if words[key][i])) for i in range(len(alike))]


def _told_apart(words: Mapping[str, Sequence[str]], keys: Sequence[str]) -> int:
    """How many studies have words of their own for these settings."""
    return len(set(zip(*(words[key] for key in keys), strict=True))) if keys else 1


def _details(study: Group, apart: Mapping[str, Any]) -> dict[str, Any]:
    """What may set a study apart: its settings, and then the model and the code themselves."""
    models = {point.model for point in study.points}
    model = {MODEL: next(iter(models))} if len(models) == 1 else {}
    code = {CODE: study.code.version} if study.code.version else {}
    return {**apart, TRAINING: bool(study.training), **model, **code}


def _word(study: Group, details: Mapping[str, Any], key: str, keys: Sequence[str]) -> str:
    """A setting in short, such as `depth=4`."""
    is_of_training = key == TRAINING or key not in (*SHARED, *HASHES, *LAST)
    if is_of_training and not study.training:
        return "training not known"
    if key == TRAINING or (key in LAST and key not in details):
        return ""
    name = key.removesuffix(TARGET).rpartition(".")[2]
    if sum(other.removesuffix(TARGET).rpartition(".")[2] == name for other in keys) > 1:
        name = key.removesuffix(TARGET)
    if key not in details:
        return f"no {name}"
    text = str(details[key])
    text = text.rpartition(".")[2] if key.endswith(TARGET) else text
    return f"{name}={text if len(text) <= LONGEST else '…' + text[-LONGEST:]}"
