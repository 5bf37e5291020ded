"""How our order of the schedules agrees with the paper's: Kendall's tau-b, in the words of every page and notebook."""

from __future__ import annotations

from collections.abc import Sequence

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import FEWEST, Agreement, Ranking
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.words import count, format_seeds, is_or_are

NAME = "Kendall's tau-b"
MEANING = (
    "Tau-b is (C - D) / √(A B): of the pairs of schedules, C are ordered as in the paper and D the other way round, A "
    "are not tied here, and B are not tied in the paper. It is +1 for the same order, 0 for no relation and -1 for the "
    "reverse."
)


def order_sentences(study: Study, ranking: Ranking | None) -> list[str]:
    """Tau-b of the order of the schedules and of their best T, what it is, and how certain.

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
    n, label = len(ranking.schedules), study.distance.label
    order = (
        f"{NAME} between our order of {n} schedules (by {label} at the best T of each, mean over seeds) and the "
        f"paper's (by FID in Table 3): {_with_interval(ranking.order)}."
    )
    shift = f"The same of the best T of each schedule, here and in Table 3: {_with_interval(ranking.shift)}."
    return [order, shift, *seeds_of_tau(study, ranking), " ".join([MEANING, *_about_intervals(ranking)])]


def tau_fact(ranking: Ranking) -> tuple[str, str]:
    """Tau-b of the order in short, and what it is."""
    n = count(len(ranking.schedules), "schedule")
    about = f"{NAME} between our order of {n} and the paper's; {_interval(ranking.order)}"
    return "τ undefined" if ranking.order.tau is None else f"τ = {format_tau(ranking.order.tau)}", about


def format_tau(tau: float | None) -> str:
    """With a sign and two decimals, as tau is written everywhere."""
    return "undefined" if tau is None else f"{tau:+.2f}"


def seeds_of_tau(study: Study, ranking: Ranking) -> list[str]:
    """The seeds of the ranking, where those of the table are fewer for a schedule that is not the paper's."""
    if ranking.seeds == comparison(study).seeds:
        return []
    return [f"Tau compares the paper's schedules alone, on {format_seeds(ranking.seeds)}."] if ranking.seeds else []


def _with_interval(agreement: Agreement) -> str:
    if agreement.tau is None:
        return "undefined, since one of the two orders is all ties"
    return f"{format_tau(agreement.tau)}, {_interval(agreement)}"


def _interval(agreement: Agreement) -> str:
    if agreement.interval is None:
        return "all ties" if agreement.tau is None else "no interval, since there is one seed only"
    low, high = map(format_tau, agreement.interval)
    return f"95 % interval {low} to {high}"


def _about_intervals(ranking: Ranking) -> Sequence[str]:
    """How the intervals were found, and what is left out of them; nothing where there are none."""
    if ranking.order.interval is None:
        return []
    least, most = min(ranking.repeats), max(ranking.repeats)
    seeds = f"{most} seeds" if least == most else f"{least} to {most} seeds"
    text = (
        f"The intervals are percentiles of a bootstrap over seeds: {ranking.bootstrap:,} times, within each schedule, "
        f"its seeds are drawn with replacement, and mean, best T and tau are computed again. With {seeds} a schedule "
        "they are rough"
    )
    text += ", and a schedule with one seed stays as it is." if least == 1 else "."
    if undefined := ranking.shift.n_undefined:
        text += f" {undefined:,} resamples in which all best T are equal have no tau and are left out."
    return [text]
