"""What the report says in words: how to read the curves, how the order agrees with the paper's, what to beware of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from maskgit_lab.ablation.curves import curves, distance_of
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import FEWEST, Agreement, Ranking
from maskgit_lab.ablation.results import STANDARD_SAMPLES
from maskgit_lab.ablation.rows import unusable_rows
from maskgit_lab.ablation.runs import Run
from maskgit_lab.ablation.studies import Study
from maskgit_lab.ablation.styles import spoken


def count(n: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def how_to_read(study: Study) -> str:
    """What line, band and star are."""
    found = curves(study.main, distance_of(study))
    seeds = ", ".join(map(str, study.seeds))
    band = (
        f"A line is the mean over seeds ({seeds}), and its band reaches from the lowest to the highest of them."
        if any(curve.has_band for curve in found)
        else f"One seed ({seeds}) at each point, so there is no band and no way to tell chance from effect."
    )
    models = {(str(point.row["schedule"]), point.repeat[0]) for point in study.main}
    if any(curve.has_band for curve in found) and len(models) == len(found):
        band += " There is one model for each schedule: the seeds are of its samples, not of its training."
    return f"{band} A star marks the best T of its line. The T axis is logarithmic."


def order_sentences(study: Study, ranking: Ranking | None) -> list[str]:
    """Kendall's tau of the order and of the best T, with what it was computed from."""
    if ranking is None:
        n = sum(curve.schedule in table3() for curve in curves(study.main, distance_of(study)))
        return [
            f"{n} of the paper's seven schedules {'is' if n == 1 else 'are'} measured here: "
            f"Kendall's tau needs at least {FEWEST}, so none is given."
        ]
    n, label = len(ranking.schedules), study.distance_label
    order = f"Our order of {n} schedules (by {label} at each one's best T, mean over seeds) against the paper's Table 3"
    shift = "The best T of each schedule here against the best T in Table 3 (does it move right as in the paper?)"
    told = [f"{order}: {_tau(ranking.order)}", f"{shift}: {_tau(ranking.shift)}"]
    return [*told, _of_the_interval(ranking)]


def warnings(study: Study, names: Mapping[Path, str]) -> list[str]:
    """What a reader has to beware of in a study."""
    told = []
    if study.is_biased and any(point.value(study.distance) is not None for point in study.points):
        told.append(
            f"{study.distance_label} is from {study.n_samples:,} samples and not {STANDARD_SAMPLES:,}: too high by a "
            "bias that depends on their number; compare it only with distances from as many."
        )
    measured = {str(point.row["schedule"]) for point in study.main}
    if absent := [spoken(name) for name in table3() if name not in measured]:
        told.append(f"Of the paper's seven schedules {', '.join(absent)} {_is(absent)} not measured here.")
    if len(steps := {point.row["steps"] for point in study.main}) == 1:
        told.append(f"Only T = {next(iter(steps))} was measured: there is no curve, and no sweet spot can be told.")
    told += _not_finite(study)
    if not study.training:
        told.append("How these models were trained is not known: there is no readable config.yaml beside the results.")
    return told + [f"Run {names[run.path]}: {fault}." for run in study.runs for fault in run.faults]


def faults_of(runs: Sequence[Run], names: Mapping[Path, str]) -> list[str]:
    """What could not be read of the runs, and runs that have no results yet."""
    told = [
        f"{count(run.n_cut, 'line')} of the results of {names[run.path]} could not be read "
        "(a kill cuts a line short), and had to be passed over."
        for run in runs
        if run.n_cut
    ]
    unusable = Counter(run.path for run, _ in unusable_rows(runs))
    told += [
        f"{count(n, 'row')} of the results of {names[path]} left out: which point it is cannot be told."
        for path, n in unusable.items()
    ]
    empty = [run for run in runs if not run.rows]
    return told + [f"Run {names[run.path]} has no results yet: {fault}." for run in empty for fault in run.faults]


def _tau(agreement: Agreement) -> str:
    if agreement.tau is None:
        return "no tau, since one of the two orders is all ties."
    said = f"Kendall's tau {agreement.tau:+.2f}"
    if agreement.interval is None:
        return f"{said}; no interval, since there is one seed only."
    low, high = agreement.interval
    return f"{said}, 95 % interval {low:+.2f} to {high:+.2f}."


def _of_the_interval(ranking: Ranking) -> str:
    said = "Tau is 1 for the same order, 0 for no relation and -1 for the reverse; ties count by tau-b."
    if ranking.order.interval is None:
        return said
    least, most = min(ranking.repeats), max(ranking.repeats)
    seeds = f"{most} seeds" if least == most else f"{least} to {most} seeds"
    said += (
        f" The intervals are percentiles of a bootstrap over seeds: {ranking.bootstrap:,} times, within each schedule, "
        f"its seeds are drawn with replacement, and mean, best T and tau are found anew. With {seeds} a schedule they "
        "are rough"
    )
    said += ", and a schedule with one seed stays as it is." if least == 1 else "."
    if undefined := ranking.shift.n_undefined:
        said += f" {undefined:,} resamples in which all best T are equal have no tau and are left out."
    return said


def _not_finite(study: Study) -> list[str]:
    bad = sum(
        isinstance(value, float) and point.value(key) is None
        for point in study.points
        for key, value in point.row.items()
    )
    return [f"{count(bad, 'value')} of the rows {_is(range(bad))} not finite and left out."] if bad else []


def _is(several: Sequence[object]) -> str:
    return "is" if len(several) == 1 else "are"
