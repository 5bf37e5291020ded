"""What a spread holds: the tokenizers, training seeds, draws of samples and classifiers that vary in it."""

from __future__ import annotations

from maskgit_lab.ablation.classifiers import CLASSIFIER
from maskgit_lab.ablation.curves import Curve, curves
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.ranking import levels_of
from maskgit_lab.ablation.reading import Seeds
from maskgit_lab.ablation.resampling import Levels
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.words import count, format_range, format_seeds


def what_varies(levels: Levels, study: Group) -> str:
    """`5 training seeds of one tokenizer, each with 1 draw of samples, measured by one classifier`."""
    fewest, most = levels.trainings
    if levels.tokenizers > 1:
        seeds = f"{levels.tokenizers} tokenizers, each with {format_range((fewest, most), 'training seed')}"
    else:
        seeds = f"{count(most, 'training seed')} of one tokenizer"
    draws = f"{format_range(levels.draws, 'draw')} of samples"
    draws = f"{draws} from each model" if levels.tokenizers > 1 else f"each with {draws}"
    return f"{seeds}, {draws}, measured by {_measured_by(levels, study)}"


def what_is_one(levels: Levels, study: Study) -> list[str]:
    """What there is one of, so that its part in the chance is in no spread."""
    trained = study.features == CLASSIFIER and levels.classifiers == 1
    return [
        *(["the tokenizer"] if levels.tokenizers == 1 else []),
        *(["the training seed of each tokenizer"] if levels.tokenizers > 1 and levels.trainings[1] == 1 else []),
        *(["the draw of samples from each model"] if levels.draws[1] == 1 else []),
        *(["the classifier that measures"] if trained else []),
    ]


def how_to_read(study: Study) -> str:
    """What line, band and star are."""
    drawn = curves(study.main, study.distance)
    star = " ".join(["A star marks the best T of its line. The T axis is logarithmic.", *_about_baselines(study)])
    if not drawn:
        return star
    levels = levels_of(drawn, tuple(study.seeds))
    if not any(one.has_band for one in drawn):
        text = f"One model of each schedule ({format_seeds(study.seeds)})"
        if levels.draws[1] > 1:
            text += f", whose points are means over {format_range(levels.draws, 'draw')} of its samples"
        return f"{text}, so there is no band and no way to tell chance from effect. {star}"
    return (
        f"A line is the mean over models ({format_seeds(study.seeds)}), and its band reaches from the lowest to the "
        f"highest of them: {what_varies(levels, study)}. {star}"
    )


def _about_baselines(study: Study) -> list[str]:
    """What a baseline's line and band are."""
    if not study.baselines:
        return []
    of = "; ".join(f"{one.name}: {format_seeds(one.seeds)}" for one in study.baselines)
    return [
        f"A horizontal line is an autoregressive model, which has no T, and its band reaches from the lowest to the "
        f"highest of its models ({of})."
    ]


def about_deviations(study: Study) -> list[str]:
    """What ± in the table is; nothing where there is none."""
    found = comparison(study)
    several = [one for one in found.compared if len(one.seeds) > 1]
    if not several:
        return []
    varies = what_varies(levels_of(several, found.seeds or _most(several)), study)
    return [f"± is the standard deviation over models: {varies}."]


def _most(several: list[Curve]) -> tuple[Seeds, ...]:
    return max((one.seeds for one in several), key=len)


def _measured_by(levels: Levels, study: Group) -> str:
    if study.features != CLASSIFIER:
        return f"one network ({study.features})"
    return "one classifier" if levels.classifiers == 1 else f"{levels.classifiers} classifiers"
