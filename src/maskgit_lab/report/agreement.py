"""How our schedules agree with the paper's, by Kendall's tau-b and by their shapes, in the words of every page."""

from __future__ import annotations

from collections.abc import Sequence

from maskgit_lab.ablation.classifiers import AcrossClassifiers, Average
from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.permutations import SHAPES, ShapeTest
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import FEWEST, Agreement, Ranking, papers_shapes
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.levels import what_is_one, what_varies
from maskgit_lab.report.words import count, format_seeds, is_or_are, label

NAME = "Kendall's tau-b"
MEANING = (
    "Tau-b is (C - D) / √(A B): of the pairs of schedules, C are ordered as in the paper and D the other way round, A "
    "are not tied here, and B are not tied in the paper. It is +1 for the same order, 0 for no relation and -1 for the "
    "reverse. Its p-value is exact, ties or not: the share of all orders of the schedules whose tau is as far from 0, "
    "on either side, which is the chance of such a tau if the two orders had nothing to do with each other."
)
CLAIM = "concave schedules ahead of linear, and linear ahead of convex ones"


def order_sentences(study: Study, ranking: Ranking | None) -> list[str]:
    """Tau-b of the order of the schedules and of their best T, the test of their shapes, and how certain these are.

    Args:
        study: what was measured.
        ranking: of its schedules; None if there are too few.
    """
    if ranking is None:
        measured = [one for one in curves(study.main, study.distance) if one.schedule in table3()]
        return [
            f"{len(measured)} of the paper's seven schedules {is_or_are(measured)} measured here: {NAME} needs at "
            f"least {FEWEST}, so none is given."
        ]
    n, distance = len(ranking.schedules), study.distance.label
    order = (
        f"{NAME} between our order of {n} schedules (by {distance} at the best T of each, mean over models) and the "
        f"paper's (by FID in Table 3): {_with_interval(study, ranking, ranking.order)}."
    )
    shift = (
        f"The same of the best T of each schedule, here and in Table 3: "
        f"{_with_interval(study, ranking, ranking.shift)}."
    )
    about = " ".join([MEANING, *_about_intervals(study, ranking)])
    return [order, shift, *_at_edge(ranking), *shape_sentences(study, ranking), *seeds_of_tau(study, ranking), about]


def shape_sentences(study: Study, ranking: Ranking) -> list[str]:
    """The test of the paper's claim about shapes: what was found, and what it is tested against."""
    test = ranking.shapes
    if test is None:
        return []
    interval = "" if test.interval is None else f", {_interval(study, ranking, test.interval, '{:g}')}"
    found = (
        f"The paper's claim, {CLAIM}: {test.statistic:g} of {count(test.n_pairs, 'pair')} of schedules of different "
        f"shapes are in that order by {study.distance.label} (Jonckheere-Terpstra's J = {test.statistic:g}{interval}), "
        f"and {papers_shapes(ranking.schedules):g} by the paper's own FID."
    )
    if test.n_seeds > 1:
        shows = "shows" if test.whole_seeds == 1 else "show"
        found += f" {test.whole_seeds} of {count(test.n_seeds, 'seed')} {shows} this order in full."
    return [found, _about_shapes(test)]


def classifier_sentences(study: Study, found: AcrossClassifiers | None) -> list[str]:
    """The agreement over studies that differ in the classifier alone; nothing without such."""
    if found is None:
        return []
    varies = what_varies(found.levels, study)
    return [
        f"The same on {len(found.weights)} classifiers (features_weights {', '.join(found.weights)}), whose distances "
        "have different scales, so that each has a chapter of its own and the order alone is compared: "
        f"tau-b {_average(found.tau, '{:+.2f}')}, and J {_average(found.shapes, '{:.3g}')}; over {varies}, where "
        "models and classifiers are drawn independently of each other."
    ]


def tau_fact(study: Study, ranking: Ranking) -> tuple[str, str]:
    """Tau-b of the order in short, and what it is."""
    n = count(len(ranking.schedules), "schedule")
    about = f"{NAME} between our order of {n} and the paper's; {_certainty(study, ranking, ranking.order)}"
    return "τ undefined" if ranking.order.tau is None else f"τ = {format_tau(ranking.order.tau)}", about


def shape_fact(ranking: Ranking) -> list[tuple[str, str]]:
    """The test of the shapes in short, and what it is; nothing where there is none."""
    test = ranking.shapes
    if test is None:
        return []
    about = f"pairs as the paper claims: {CLAIM}; p = {format_p(test.p)}"
    return [(f"J = {test.statistic:g} of {test.n_pairs}", about)]


def format_tau(tau: float | None) -> str:
    """With a sign and two decimals, as tau is written everywhere."""
    return "undefined" if tau is None else f"{tau:+.2f}"


def format_p(p: float) -> str:
    """With two significant digits."""
    return f"{p:.2g}"


def seeds_of_tau(study: Study, ranking: Ranking) -> list[str]:
    """The seeds of the ranking, where those of the table are fewer for a schedule that is not the paper's."""
    if ranking.seeds == comparison(study).seeds:
        return []
    return [f"Tau compares the paper's schedules alone, on {format_seeds(ranking.seeds)}."] if ranking.seeds else []


def _average(average: Average, form: str) -> str:
    mean, each = form.format(average.mean), ", ".join(form.format(one) for one in average.each)
    interval = "" if average.interval is None else f", 95 % interval {' to '.join(map(form.format, average.interval))}"
    return f"{mean} in the mean ({each}{interval})"


def _about_shapes(test: ShapeTest) -> str:
    schedules = ", ".join(f"{n} {shape}" for n, shape in zip(test.counts, SHAPES, strict=True) if n)
    n = test.n_assignments
    return (
        "If shape and distance had nothing to do with each other, J would be as large or larger with p = "
        f"{format_p(test.p)}: exact and one-sided, over all {n} ways to assign the shapes ({schedules}) to the "
        f"schedules, so no p can be below 1/{n} = {1 / n:.2g}, however many the seeds."
    )


def _with_interval(study: Study, ranking: Ranking, agreement: Agreement) -> str:
    if agreement.tau is None:
        return "undefined, since one of the two orders is all ties"
    return f"{format_tau(agreement.tau)}, {_certainty(study, ranking, agreement)}"


def _certainty(study: Study, ranking: Ranking, agreement: Agreement) -> str:
    """The interval with what it holds, and the p-value."""
    if agreement.tau is None or agreement.p is None:
        return "all ties"
    p = f"p = {format_p(agreement.p)}"
    if agreement.interval is None:
        why = "there is one model of each schedule only" if ranking.seeds else "the schedules share no seed"
        return f"no interval, since {why}; {p}"
    return f"{_interval(study, ranking, agreement.interval, '{:+.2f}')}; {p}"


def _interval(study: Study, ranking: Ranking, ends: tuple[float, float], form: str) -> str:
    low, high = map(form.format, ends)
    return f"95 % interval {low} to {high} over {what_varies(ranking.levels, study)}"


def _at_edge(ranking: Ranking) -> list[str]:
    """Best T that may be the ends of the grid and no sweet spots."""
    if not ranking.at_edge:
        return []
    names = ", ".join(map(label, ranking.at_edge))
    return [
        f"Of {names} the best T is the first or the last that was compared (†): a better one may lie beyond, and tau "
        "of the best T then compares where the grid ends."
    ]


def _about_intervals(study: Study, ranking: Ranking) -> Sequence[str]:
    """How the intervals were found, and what is not in them; nothing where there are none."""
    if not ranking.levels.are_several:
        return []
    levels, drawn = ranking.levels, []
    drawn += ["tokenizers"] if levels.tokenizers > 1 else []
    drawn += ["training seeds"] if levels.trainings[1] > 1 else []
    drawn += ["draws of samples"] if levels.draws[1] > 1 else []
    text = (
        f"The intervals are expanded percentiles of a nested, paired bootstrap: {ranking.bootstrap:,} times, "
        f"{' and within them '.join(drawn)} are drawn with replacement, the same for all schedules, and mean, best T "
        "and statistics are computed again."
    )
    if left_out := what_is_one(levels, study):
        text += f" They do not hold what varies with {' and with '.join(left_out)}, of which there is one."
    text += f" With {count(len(levels.seeds), 'model')} a schedule they miss the truth more often than 5 %."
    if undefined := ranking.shift.n_undefined:
        text += f" {undefined:,} resamples in which all best T are equal have no tau and are left out."
    return [text]
