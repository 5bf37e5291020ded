"""The sentences of the report: its opening, how to read the curves, facts and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from maskgit_lab.ablation.baseline import Baseline
from maskgit_lab.ablation.baselines import level_of
from maskgit_lab.ablation.floors import floors
from maskgit_lab.ablation.group import Group
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import Ranking
from maskgit_lab.ablation.reading import Run
from maskgit_lab.ablation.sharing import comparison
from maskgit_lab.ablation.study import Study
from maskgit_lab.report.agreement import shape_fact, tau_fact
from maskgit_lab.report.provenance import provenance
from maskgit_lab.report.seeds import shared_seeds
from maskgit_lab.report.words import count, format_best, format_seeds, format_value, is_or_are, label
from maskgit_lab.runs.results import SAW_REFERENCE, SAW_REFERENCE_NOTE, STANDARD_SAMPLES

G = TypeVar("G", bound=Group)


def title(every: Sequence[Study], baselines: Sequence[Baseline] = ()) -> str:
    """Of the report."""
    if data := list(dict.fromkeys(study.data for study in _headline(every))):
        return f"MaskGIT ablations: {', '.join(data)}"
    if data := list(dict.fromkeys(one.data for one in _headline(baselines))):
        return f"Autoregressive models: {', '.join(data)}"
    return "MaskGIT evaluations"


def opening(runs: Sequence[Run], every: Sequence[Study], where: str = "", baselines: Sequence[Baseline] = ()) -> str:
    """What the report is of."""
    headline = _headline(every)
    points = sum(len(study.points) for study in headline)
    tries = [point for study in every if study.debug and not headline[0].debug for point in study.points]
    tried = {run.path for point in tries for run, _ in point.sources}
    sequential = sum(len(one.points) for one in baselines)
    what = [count(points, "point")] if points or not sequential else []
    what += [f"{count(sequential, 'point')} of autoregressive models, which have no T,"] if sequential else []
    n_runs = sum(bool(run.rows) and run.path not in tried for run in runs)
    text = f"{' and '.join(what)} of {count(n_runs, 'run')}"
    if len(headline) > 1:
        text += (
            f" in {len(headline)} studies. The points of a study were measured in the same way; those of different "
            "studies share no curve"
        )
    external = [row for run in runs for row in run.external]
    more = [f"{count(len(tries), 'point')} of debug runs {is_or_are(tries)} in the last chapters."] if tries else []
    more += [f"{count(len(external), 'row')} of external images {is_or_are(external)} at the end."] if external else []
    return " ".join([f"{text}.", *more, *([f"Filtered by {where}."] if where else [])])


def _headline(every: Sequence[G]) -> list[G]:
    """Without debug runs, unless there is nothing else."""
    return [study for study in every if not study.debug] or list(every)


def warnings(study: Study, names: Mapping[Path, str]) -> list[str]:
    """What a reader of a study has to know, with the short names of its runs' folders."""
    found = provenance(study)
    if study.n_samples < STANDARD_SAMPLES and any(
        point.value(study.distance.key) is not None for point in study.points
    ):
        found.append(
            f"{study.distance.label} is from {study.n_samples:,} samples instead of {STANDARD_SAMPLES:,}, which biases "
            "it upwards; compare it only with distances from as many samples."
        )
    found += _about_floors(study)
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


def _about_floors(study: Study) -> list[str]:
    """How the distances of held-out images and of samples compare."""
    if all(point.value(study.distance.key) is None for point in study.points):
        return []
    found, known = [], floors(study)
    if not known:
        found.append("Held-out images were not measured here, so it is not known how low the distance can be.")
    if fewer := sorted({floor.n for floor in known if floor.n != study.n_samples}):
        found.append(
            f"Held-out images and reconstructions are {fewer[0]:,}, and samples {study.n_samples:,}: a distance of "
            "fewer images is larger, so they are in no figure; samples to compare with them are measured by "
            f"eval.n_samples={fewer[0]}."
        )
    return found + ([f"{SAW_REFERENCE_NOTE}."] if study.settings.get(SAW_REFERENCE) else [])


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
        found.insert(0, (f"{label(best.schedule)}, T = {format_best(best)}", lowest))
    found += _baseline_facts(study)
    return found if ranking is None else [*found, *shape_fact(ranking), tau_fact(study, ranking)]


def _baseline_facts(study: Study) -> list[tuple[str, str]]:
    """The distance of the first baseline that has one."""
    levels = [(one, drawn) for one in study.baselines if (drawn := level_of(one, study.distance)) is not None]
    return [
        (f"{study.distance.label} {format_value(float(drawn.mean_X[0]))}", f"{one.name}, {format_seeds(drawn.seeds)}")
        for one, drawn in levels[:1]
    ]
