"""What a reader has to know of the tables of edits, and what these show of the paper's ablation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maskgit_lab.ablation.editing import ONE_STEP, RANDOM_ORDER, EditEntry, Gain, Orders
from maskgit_lab.ablation.edits import EditStudy
from maskgit_lab.ablation.floors import NAMES
from maskgit_lab.ablation.ranking import Ranking
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import INCEPTION
from maskgit_lab.report.agreement import NAME, format_p, format_tau
from maskgit_lab.report.levels import about_deviations, what_varies
from maskgit_lab.report.words import EDGE_NOTE, count, format_difference, label
from maskgit_lab.runs.results import PASTED

BASELINES = {
    RANDOM_ORDER: "In random order, the same models fill the hole with the tokens to keep drawn at random and not by "
    "confidence, at the T that is best for that.",
    ONE_STEP: "In one step, the whole hole is filled at once (T = 1).",
}
WHAT_IS_PASTED = (
    "Pasted reconstructions are what the tokenizer makes of the original picture, in the same hole and blended alike: "
    "what a model would reach that fills in the original's own tokens. No transformer took part in it."
)
ABOUT = {
    "psnr": "PSNR is over the pixels of the hole, in dB.",
    "lpips": "LPIPS is that of the edited and the original picture.",
    "feature_distance": "Feature distance stands in for LPIPS, whose weights were not given: the mean Euclidean "
    "distance between the {features} features of the edited and the original picture, each of length 1. It cannot be "
    "compared with published LPIPS.",
    "diversity": "Diversity is the mean LPIPS between variants of one picture.",
    "feature_diversity": "Feature diversity stands in for LPIPS between variants of one picture: the mean distance "
    "between their {features} features, each of length 1.",
}
RANDOM_WEIGHTS = "random"
RANDOM_NOTE = "LPIPS is that of a network of random weights, which means nothing."
TO_THE_ORIGINAL = (
    "A hole has many good fillings, of which the original is one: what is close to it need not be better, so read "
    "these numbers beside the distance, and with the diversity."
)
MEANING_OF_TAU = (
    "Tau-b is +1 for the same order, 0 for no relation and -1 for the reverse; p is exact, the share of all orders of "
    "the schedules whose tau is as far from 0, on either side."
)


def notes_on(study: EditStudy, entries: Sequence[EditEntry]) -> list[str]:
    """On the spread, the rows and the columns of a table."""
    kinds = {entry.kind for entry in entries}
    keys = {key for entry in entries for key in entry.values}
    notes = [*about_deviations(study), *([EDGE_NOTE] if any(entry.is_at_edge for entry in entries) else [])]
    notes += [text for kind, text in BASELINES.items() if kind in kinds]
    notes += [WHAT_IS_PASTED] if PASTED in kinds else []
    notes += [text.format(features=study.features) for key, text in ABOUT.items() if key in keys]
    notes += [TO_THE_ORIGINAL] if keys & {"psnr", "lpips", "feature_distance"} else []
    notes += [_recognised(study)] if "sample_accuracy" in keys else []
    notes += [RANDOM_NOTE] if study.settings.get("lpips_weights") == RANDOM_WEIGHTS else []
    return notes + ([_papers_note(study)] if study.in_the_paper else [])


def gain_sentences(found: Sequence[Gain], study: EditStudy) -> Iterator[str]:
    """What confidence gives over a random order, and what steps give over a single one."""
    others = {
        RANDOM_ORDER: "of filling the hole in random order, at the T that is best for that",
        ONE_STEP: "of filling it in one step",
    }
    for gain in found:
        distance = study.distance.label
        if gain.kind == ONE_STEP and gain.steps == 1:
            yield f"Of {label(gain.schedule)}, no T that was measured is better than one step."
            continue
        yield (
            f"{distance} of {label(gain.schedule)} at T = {gain.steps} minus {distance} {others[gain.kind]}, of the "
            f"same models: {format_difference(gain.value, gain.interval)}{_certainty(gain, study)}."
        )


def order_sentences(study: EditStudy, plain: Study | None, found: Orders | None, ranking: Ranking | None) -> list[str]:
    """Whether the schedules rank by edits as they do by plain samples, and as in the paper's Table 3."""
    if ranking is None:
        return ["Fewer than three of the paper's schedules were measured: there is no order to compare."]
    sentences = [_of_decoding(study)] if study.trained else []
    if found is None or plain is None:
        sentences.append(
            "Plain samples of these models were not measured alike with three of these schedules, so their order is "
            "not beside it."
        )
    else:
        agreement, n = found.agreement, count(len(found.schedules), "schedule")
        sentences.append(
            f"{NAME} between the order of {n} by edits and by {plain.n_samples:,} plain samples of models that were "
            f"trained alike, both by {study.distance.label} at the best T of each: {format_tau(agreement.tau)}"
            f"{_within(agreement.interval)}{_p(agreement.p)}.{_other_settings(study, plain)}"
        )
    order = ranking.order
    return [
        *sentences,
        f"{NAME} between the order by edits and the paper's by plain samples (FID in Table 3): "
        f"{format_tau(order.tau)}{_within(order.interval)}{_p(order.p)}. The paper has no ablation of edits. "
        f"{MEANING_OF_TAU}",
    ]


def _of_decoding(study: EditStudy) -> str:
    return (
        f"All of these models were trained with the {label(study.trained)} schedule and differ in that of the decoding "
        "alone, of plain samples too, where there are any. The paper trains a model with each schedule."
    )


def _papers_note(study: EditStudy) -> str:
    """What of the paper's Table 2 may be compared, and what may not."""
    here = "also FID" if study.features == INCEPTION else f"the Fréchet distance of {study.features} features"
    return (
        f"The paper's rows (Table 2) are FID and IS of Places2 at 512 x 512. Here it is {here}, of {study.data}, over "
        f"{study.n_samples:,} edits. What can be compared is which method is ahead and how far it is above the floors. "
        "The values cannot: the pictures, their size and their number are others, and so are the classes of IS. The "
        "paper's other models were not run here."
    )


def _recognised(study: EditStudy) -> str:
    of = "new class that they were given" if study.task == "class_edit" else "class that they were edited as"
    return f"Recognised is the share of edits that the classifier takes for the {of}."


def _certainty(gain: Gain, study: EditStudy) -> str:
    if gain.interval is None:
        return " (too few seeds for an interval)"
    low, high = gain.interval
    verdict = "the interval holds 0" if low <= 0 <= high else "the interval does not hold 0"
    return f" (95 % interval over {what_varies(gain.levels, study)}; {verdict})"


def _within(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f", 95 % interval {interval[0]:+.2f} to {interval[1]:+.2f}"


def _p(p: float | None) -> str:
    return "" if p is None else f", p = {format_p(p)}"


def _other_settings(study: EditStudy, plain: Study) -> str:
    if plain.main_setting == study.main_setting:
        return ""
    ours, theirs = dict(study.main_setting), dict(plain.main_setting)
    keys = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    listed = ", ".join(f"{label(key)} {ours.get(key, 'none')} and {theirs.get(key, 'none')}" for key in keys)
    return f" They were decoded with other settings (edits and samples): {listed}."


def floor_name(entry: EditEntry, study: EditStudy) -> str:
    """What a floor is called, with its number of images where that is not the number of edits."""
    return entry.name if entry.n == study.n_samples else f"{NAMES[entry.kind]} (n = {entry.n:,})"
