"""What a reader has to know of the tables in the form of the paper's Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from maskgit_lab.ablation.baseline import AUTOREGRESSIVE
from maskgit_lab.ablation.paired import FEWEST, Difference
from maskgit_lab.ablation.table1 import MASKGIT, Entry, TableOne
from maskgit_lab.report.levels import what_varies
from maskgit_lab.report.provenance import provenance
from maskgit_lab.report.words import EDGE_NOTE, NONE, count, format_knob, format_seeds, label
from maskgit_lab.runs.results import STANDARD_SAMPLES

PAPER, QUOTED = "the paper", "quoted there"  # where a row is from
LARGE, TOKENS_OF_LARGE = 512, 1024  # the resolution of the second half of the paper's table, and its tokens
MINUS = " minus "


def notes_on(models: TableOne) -> list[str]:
    """On the spread, the steps, the seconds, the units, and where the rows are from."""
    notes = [*_about_deviations(models), *_about_steps(models), *_about_seconds(models)]
    notes.append(
        "Parameters are those of transformer and tokenizer together. NLL is in nats per token: exact of an "
        "autoregressive model, and of MaskGIT a bound (≤). Precision and CAS are fractions."
    )
    notes.append(
        f"The paper's rows are of ImageNet {resolution_of(models)} x {resolution_of(models)} with 50,000 samples "
        f"(Table 1; real data: section 4.2): those marked “{PAPER}” its authors measured, and those marked “{QUOTED}” "
        "it quotes from other papers. Compare the differences between models, not the values."
    )
    first = (*models.studies, *models.baselines)[0]
    if first.n_samples < STANDARD_SAMPLES:
        notes.append(
            f"{models.distance.label} is from {first.n_samples:,} samples instead of {STANDARD_SAMPLES:,}, which "
            "biases it upwards."
        )
    return notes + _apart(models)


def warnings_on(models: TableOne, names: Mapping[Path, str]) -> list[str]:
    """What a reader has to know of the baselines, with the short names of their runs' folders."""
    found = [f"{one.name}: {text}" for one in models.baselines for text in provenance(replace(one, debug=""))]
    runs = {run.path: run for one in models.baselines for run in one.runs}
    unknown = [one.name for one in models.baselines if not one.training]
    found += (
        [f"How {', '.join(unknown)} was trained is not known: there is no readable config.yaml."] if unknown else []
    )
    return found + [f"Run {names[path]}: {fault}." for path, run in runs.items() for fault in run.faults]


def _about_deviations(models: TableOne) -> list[str]:
    """What ± holds; nothing where there is none."""
    groups = [*models.studies, *models.baselines]
    found: dict[str, list[str]] = {}
    for entry in models.entries:
        if entry.levels is not None and entry.levels.are_several:
            names = found.setdefault(what_varies(entry.levels, groups[0]), [])
            names.append("MaskGIT" if entry.kind == MASKGIT else name_of(entry))
    if not found:
        return []
    if len(found) == 1:
        return [f"± is the standard deviation over models: {next(iter(found))}."]
    listed = "; ".join(f"{' and '.join(dict.fromkeys(names))}: {varies}" for varies, names in found.items())
    return [f"± is the standard deviation over models: {listed}."]


def _about_steps(models: TableOne) -> list[str]:
    notes = []
    if models.studies:
        settings = {format_knob(dict(study.main_setting).get("choice_temperature")) for study in models.studies}
        at = f", at choice temperature {' or '.join(sorted(settings - {NONE}))}" if settings - {NONE} else ""
        notes.append(f"MaskGIT's steps are the T of the lowest {models.distance.label}{at}.")
    if any(entry.is_at_edge for entry in models.entries):
        notes.append(EDGE_NOTE)
    if any(entry.kind == AUTOREGRESSIVE for entry in models.entries):
        notes.append("An autoregressive model takes one step for each token.")
    return notes


def _about_seconds(models: TableOne) -> list[str]:
    """Where the seconds were measured."""
    timed: dict[str, list[str]] = {}
    for entry in models.entries:
        if entry.timed_on:
            timed.setdefault(entry.timed_on, []).append(name_of(entry))
    if not timed:
        return []
    text = "Seconds to decode the tokens of an image, without the tokenizer, timed on "
    if len(timed) == 1:
        return [f"{text}{next(iter(timed))}."]
    listed = "; ".join(f"{where} ({', '.join(names)})" for where, names in timed.items())
    return [f"{text}different hardware, so compare only those of the same: {listed}."]


def _apart(models: TableOne) -> list[str]:
    """Baselines that no curve shows."""
    shown = {one.title for study in models.studies for one in study.baselines}
    absent = [one.name for one in models.baselines if one.title not in shown]
    if not absent or not models.studies:
        return []
    return [
        f"In no curve: {'; '.join(absent)}, since no MaskGIT model here has the same tokens and was measured by the "
        "same code."
    ]


def about_differences(pairs: Sequence[Difference], bootstrap: int) -> list[str]:
    """What the differences are paired over, and what their intervals hold; the same of several pairs once."""
    found: dict[str, list[str]] = {}
    for pair in (pair for pair in pairs if pair.values):
        found.setdefault(_about_difference(pair, bootstrap), []).append(pair_name(pair))
    if len(found) == 1:
        return [f"Differences are {next(iter(found))}"]
    return [f"Differences of {'; '.join(names)} are {text}" for text, names in found.items()]


def _about_difference(pair: Difference, bootstrap: int) -> str:
    over = f"means over {format_seeds(pair.levels.seeds)}, which both have"
    if not pair.has_intervals:
        return f"{over}: fewer than {FEWEST}, so there is no interval and no way to tell chance from effect."
    varies = what_varies(pair.levels, pair.study)
    return (
        f"{over}; in brackets their 95 % intervals, expanded percentiles of a nested bootstrap that draws "
        f"{bootstrap:,} times the same seeds for both and finds the best T anew: over {varies}. With "
        f"{count(len(pair.levels.seeds), 'seed')} they miss the truth more often than 5 %."
    )


def pair_name(pair: Difference) -> str:
    """What is subtracted from what."""
    apart = "".join(f", {text}" for text in pair.study.apart)
    return f"{label(pair.schedule)}{apart}, T = {pair.steps}{MINUS}{pair.baseline.name}"


def name_of(entry: Entry) -> str:
    """As the table and its notes call a row."""
    name = f"MaskGIT, {label(entry.name)}" if entry.kind == MASKGIT else entry.name
    return f"{name}, {entry.apart}" if entry.apart else name


def resolution_of(models: TableOne) -> int:
    """Of the paper's images with as many tokens; where they are not known, that of its main results."""
    return LARGE if models.n_tokens == TOKENS_OF_LARGE else 256
