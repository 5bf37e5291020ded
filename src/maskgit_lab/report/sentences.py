"""The sentences of the report: how to read the curves, how the order agrees with the paper's, and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import FEWEST, Agreement, Ranking
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.provenance import provenance
from maskgit_lab.report.seeds import seeds_of_tau, shared_seeds
from maskgit_lab.report.words import count, format_value, is_or_are, label
from maskgit_lab.runs.results import STANDARD_SAMPLES


def title(every: Sequence[Study]) -> str:
    """Of the report."""
    data = list(dict.fromkeys(study.data for study in _headline(every)))
    return f"MaskGIT ablations: {', '.join(data)}" if data else "MaskGIT evaluations"


def opening(runs: Sequence[Run], every: Sequence[Study], where: str = "") -> str:
    """What the report is of."""
    headline = _headline(every)
    points = sum(len(study.points) for study in headline)
    tries = [point for study in every if study.debug and not headline[0].debug for point in study.points]
    tried = {run.path for point in tries for run, _ in point.sources}
    text = f"{count(points, 'point')} of {count(sum(bool(run.rows) and run.path not in tried for run in runs), 'run')}"
    if len(headline) > 1:
        text += (
            f" in {len(headline)} studies. The points of a study were measured in the same way; those of different "
            "studies share no curve"
        )
    external = [row for run in runs for row in run.external]
    more = [f"{count(len(tries), 'point')} of debug runs {is_or_are(tries)} in the last chapters."] if tries else []
    more += [f"{count(len(external), 'row')} of external images {is_or_are(external)} at the end."] if external else []
    return " ".join([f"{text}.", *more, *([f"Filtered by {where}."] if where else [])])


def _headline(every: Sequence[Study]) -> list[Study]:
    """Without debug runs, unless there is nothing else."""
    return [study for study in every if not study.debug] or list(every)


def how_to_read(study: Study) -> str:
    """What line, band and star are."""
    drawn = curves(study.main, study.distance)
    has_band = any(one.has_band for one in drawn)
    seeds = ", ".join(map(str, study.seeds))
    text = (
        f"A line is the mean over seeds ({seeds}), and its band reaches from the lowest to the highest of them."
        if has_band
        else f"One seed ({seeds}) at each point, so there is no band and no way to tell chance from effect."
    )
    models = {(point.schedule, point.repeat[1]) for point in study.main}
    if has_band and len(models) == len(drawn):
        text += " There is one model for each schedule: the seeds are of its samples, not of its training."
    return f"{text} A star marks the best T of its line. The T axis is logarithmic."


def order_sentences(study: Study, ranking: Ranking | None) -> list[str]:
    """Kendall's tau of the order and of the best T, with what it was computed from."""
    if ranking is None:
        n = sum(one.schedule in table3() for one in curves(study.main, study.distance))
        return [
            f"{n} of the paper's seven schedules {'is' if n == 1 else 'are'} measured here: "
            f"Kendall's tau needs at least {FEWEST}, so none is given."
        ]
    n, distance = len(ranking.schedules), study.distance.label
    order = (
        f"Our order of {n} schedules (by {distance} at each one's best T, mean over seeds) against the paper's Table 3"
    )
    shift = "The best T of each schedule here against the best T in Table 3 (does it move right as in the paper?)"
    taus = [f"{order}: {_tau(ranking.order)}", f"{shift}: {_tau(ranking.shift)}"]
    return [*taus, *seeds_of_tau(study, ranking), _about_intervals(ranking)]


def warnings(study: Study, names: Mapping[Path, str]) -> list[str]:
    """What a reader of a study has to know, with the short names of its runs' folders."""
    found = provenance(study)
    if study.n_samples < STANDARD_SAMPLES and any(
        point.value(study.distance.key) is not None for point in study.points
    ):
        found.append(
            f"{study.distance.label} is from {study.n_samples:,} samples and not {STANDARD_SAMPLES:,}: too high by a "
            "bias that depends on their number; compare it only with distances from as many."
        )
    measured = {point.schedule for point in study.main}
    if absent := [label(name) for name in table3() if name not in measured]:
        found.append(f"Of the paper's seven schedules {', '.join(absent)} {is_or_are(absent)} not measured here.")
    if len(steps := {point.steps for point in study.main}) == 1:
        found.append(f"Only T = {next(iter(steps))} was measured, so there is no curve and no sweet spot.")
    values = [(point, key) for point in study.points for key, value in point.row.items() if isinstance(value, float)]
    if bad := [key for point, key in values if point.value(key) is None]:
        found.append(f"{count(len(bad), 'value')} of the rows {is_or_are(bad)} not finite and left out.")
    found += shared_seeds(study)
    if study.hidden:
        found.append(
            f"{count(study.hidden, 'point')} in points.csv but in no figure, since the decoder's settings differ from "
            "the most common ones."
        )
    if not study.training:
        found.append("How these models were trained is not known: there is no readable config.yaml beside the results.")
    return found + [f"Run {names[run.path]}: {fault}." for run in study.runs for fault in run.faults]


def faults_of(runs: Sequence[Run], names: Mapping[Path, str]) -> list[str]:
    """What could not be read of the runs, and runs that have no results yet."""
    found = [
        f"{count(run.n_cut, 'line')} of the results of {names[run.path]} could not be read "
        "(a process that is killed leaves a truncated line)."
        for run in runs
        if run.n_cut
    ]
    found += [
        f"{count(n, 'row')} of the results of {names[run.path]} left out, for not identifying the point."
        for run in runs
        if (n := len(run.unusable))
    ]
    empty = [run for run in runs if not run.rows]
    return found + [f"Run {names[run.path]} has no results yet: {fault}." for run in empty for fault in run.faults]


def facts(study: Study, ranking: Ranking | None) -> list[tuple[str, str]]:
    """A number or a name each, and what it is."""
    drawn = comparison(study).compared
    about = f"of {count(len(study.runs), 'run')}, {count(len(study.seeds), 'seed')}, {study.n_samples:,} samples each"
    found = [(count(len(study.points), "point"), about)]
    if drawn:
        best = min(drawn, key=lambda curve: curve.best_value)
        lowest = f"the lowest {study.distance.label}: {format_value(best.best_value)}"
        found.insert(0, (f"{label(best.schedule)}, T = {best.best_steps}", lowest))
    if ranking is not None:
        found += [_tau_fact(ranking.order, "order"), _tau_fact(ranking.shift, "best T")]
    return found


def _tau_fact(agreement: Agreement, of: str) -> tuple[str, str]:
    number = "no tau" if agreement.tau is None else f"τ = {agreement.tau:+.2f}"
    interval = "no interval" if agreement.interval is None else _interval(agreement.interval)
    return number, f"Kendall's tau of our {of} and the paper's; {interval}"


def _tau(agreement: Agreement) -> str:
    if agreement.tau is None:
        return "no tau, since one of the two orders is all ties."
    if agreement.interval is None:
        return f"Kendall's tau {agreement.tau:+.2f}; no interval, since there is one seed only."
    return f"Kendall's tau {agreement.tau:+.2f}, {_interval(agreement.interval)}."


def _interval(ends: tuple[float, float]) -> str:
    return f"95 % interval {ends[0]:+.2f} to {ends[1]:+.2f}"


def _about_intervals(ranking: Ranking) -> str:
    text = "Tau is 1 for the same order, 0 for no relation and -1 for the reverse; ties count by tau-b."
    if ranking.order.interval is None:
        return text
    least, most = min(ranking.repeats), max(ranking.repeats)
    seeds = f"{most} seeds" if least == most else f"{least} to {most} seeds"
    text += (
        f" The intervals are percentiles of a bootstrap over seeds: {ranking.bootstrap:,} times, within each schedule, "
        f"its seeds are drawn with replacement, and mean, best T and tau are computed again. With {seeds} a schedule "
        "they are rough"
    )
    text += ", and a schedule with one seed stays as it is." if least == 1 else "."
    if undefined := ranking.shift.n_undefined:
        text += f" {undefined:,} resamples in which all best T are equal have no tau and are left out."
    return text
