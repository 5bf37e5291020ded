"""`evaluate.py`: every metric of a trained model, or of any images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from maskgit_lab import ranks
from maskgit_lab.data.source import ImageData
from maskgit_lab.evaluation import asked, planning, temperature, timed_runs
from maskgit_lab.evaluation.code import known_code
from maskgit_lab.evaluation.curve import Evaluation, show
from maskgit_lab.evaluation.loggers import evaluation_logger
from maskgit_lab.evaluation.optimized import check_optimized, show_optimized
from maskgit_lab.evaluation.reference import RealImages, real_images
from maskgit_lab.lit.loggers.group import check_loggers
from maskgit_lab.lit.loggers.wandb import in_wandb_sweep
from maskgit_lab.runs.codes import check_choice
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.opening import held
from maskgit_lab.runs.outputs import results_folder
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.run import Run, begin
from maskgit_lab.sampling.loading import is_run
from maskgit_lab.settings import CommonConf, EvaluateConf
from maskgit_lab.stages.code import note_other_code
from maskgit_lab.stages.features import check_extractors
from maskgit_lab.stages.images import list_images, readable


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is computed."""

    run: Run[CommonConf]
    data: ImageData | None
    real: RealImages | None  # None for a run that has no transformer yet


def check(settings: EvaluateConf) -> tuple[CommonConf, RunFolder | None]:
    """The settings of the evaluation, and the run that is evaluated, if it is one; nothing is computed."""
    asked.check_arguments(settings)
    checkpoint = Path(settings.checkpoint or "").expanduser()
    check_choice(settings.rerun, settings.reuse)
    of_run = settings.checkpoint is not None and is_run(checkpoint)
    folder = RunFolder(checkpoint, settings.cache_dir) if of_run else None
    whole = asked.settings_of(settings, folder)
    if settings.runtime is not None:
        timed_runs.check_timing(settings, folder, whole)
    if settings.choose_temperature is not None:
        whole = temperature.settings_to_choose(settings, folder, whole)
    check_optimized(settings.optimized_metric, whole)
    return whole, folder


def prepare(settings: EvaluateConf) -> Prepared:
    """What is evaluated and how, once everything is checked that can be before a process is started."""
    whole, folder = check(settings)
    check_extractors(whole)
    check_loggers(whole.logger)
    if settings.runtime is not None:  # which needs no images
        return Prepared(replace(begin(whole), home=folder), None, None)
    is_trained = folder is None or folder.is_done("transformer")
    data = None
    if (folder is not None and (asked.needs_data(whole) or not is_trained)) or settings.data:
        data = list_images(whole)
    if folder is not None and data is not None:
        asked.check_classes(folder, data)
    real = real_images(whole.eval.reference, data) if is_trained else None
    return Prepared(replace(begin(whole), home=folder), data, real)


def run(settings: EvaluateConf, overrides: Sequence[str], prepared: Prepared) -> float | None:
    """Evaluates `checkpoint` or `samples`; with several devices each process samples and measures its share.

    Returns:
        The best value of `optimized_metric`, if one is named.
    """
    command, data, real = prepared.run, prepared.data, prepared.real
    if data is not None:
        data = readable(command, data)
        if real is not None and data is not prepared.data:  # the reference may be a split that lost images
            real = real_images(command.settings.eval.reference, data)
    known_code(command)
    if command.home is not None:
        note_other_code(command.home, command.console)
    place = _place(settings, command)
    command = replace(command, costs=command.kept_costs(place))
    with _held(settings, place), command.costs.stage("evaluation"):
        if settings.runtime is not None and place is not None:
            from maskgit_lab.report.runtime import say_runtimes  # imports Matplotlib, and is rarely needed

            say_runtimes(timed_runs.time_run(command, settings, place), command.console)
            rows = list[Row]()
        elif settings.choose_temperature is not None and real is not None and place is not None:
            temperature.choose(command, settings, data, real, place)
            rows = list[Row]()
        else:
            whole = planning.plan(command, settings, data, real, place) if real is not None else None
            rows = evaluate(command, whole or planning.measure_tokenizer(command, data), overrides)
    command.show_costs()
    return show_optimized(command.console, settings.optimized_metric, rows)


def evaluate(run: Run[CommonConf], evaluation: Evaluation, overrides: Sequence[str]) -> list[Row]:
    """Measures what is missing, and shows and returns the points."""
    news = bool(evaluation.missing()) or in_wandb_sweep()
    with evaluation_logger(run, evaluation, overrides, news) as logger:
        logged = replace(run, logger=logger)
        rows = replace(evaluation, run=logged).carry_out()
        logged.log_costs()
    if run.home is not None and evaluation.place == run.home.path:  # which this command holds
        run.mark()
    show(run.console, rows)
    if evaluation.results is not None:
        run.console.note("results", str(evaluation.results.path))
    return list(rows)


def _place(settings: EvaluateConf, run: Run[CommonConf]) -> Path | None:
    """The folder of the results, made if it is absent; None where no results are kept."""
    if settings.runtime is not None:
        return timed_runs.place_of_timing(run.folder)
    if settings.choose_temperature is not None:
        return temperature.place_of_choice(run.folder)
    if settings.out is None:
        return run.home.path if run.home is not None else None
    out = Path(settings.out).expanduser()
    if ranks.is_main():
        results_folder(out)
    ranks.barrier()
    return out


def _held(settings: EvaluateConf, place: Path | None) -> AbstractContextManager[None]:
    if place is None or not ranks.is_main():
        return nullcontext()
    return held(place, "out" if settings.out else "checkpoint", settings.wait)
