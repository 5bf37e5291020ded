"""`evaluate.py`: every metric of a trained model, or of any images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from maskgit_lab import ranks
from maskgit_lab.data.source import ImageData
from maskgit_lab.evaluation import asked, edit_plan, edit_settings, planning, temperature, timed_runs
from maskgit_lab.evaluation.code import known_code
from maskgit_lab.evaluation.curve import Evaluation, show
from maskgit_lab.evaluation.loggers import evaluation_logger
from maskgit_lab.evaluation.optimized import check_optimized, show_optimized
from maskgit_lab.evaluation.reference import RealImages, real_images
from maskgit_lab.lit.hardware import check_hardware
from maskgit_lab.lit.loggers.group import check_loggers
from maskgit_lab.lit.loggers.wandb import in_wandb_sweep
from maskgit_lab.runs.codes import check_choice
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.opening import held
from maskgit_lab.runs.outputs import check_kept, results_folder
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.run import Run, begin
from maskgit_lab.sampling.loading import check_decoder, decoder_of, is_run
from maskgit_lab.settings import CommonConf, EvaluateConf, TrainConf
from maskgit_lab.stages.code import note_other_code
from maskgit_lab.stages.features import check_extractors
from maskgit_lab.stages.images import list_images, readable
from maskgit_lab.stages.preflight import check_classifiers


@dataclass(frozen=True)
class Prepared:
    """What is known before anything is computed."""

    run: Run[CommonConf]
    data: ImageData | None
    real: RealImages | None  # None for a run that has no transformer yet


def check(settings: EvaluateConf) -> tuple[CommonConf, RunFolder | None]:
    """The settings of the evaluation, and the run that is evaluated, if it is one; nothing is computed."""
    edit_settings.check_asked(settings)
    asked.check_arguments(settings)
    checkpoint = Path(settings.checkpoint or "")
    check_choice(settings.rerun, settings.reuse)
    of_run = settings.checkpoint is not None and is_run(checkpoint)
    folder = RunFolder(checkpoint, settings.cache_dir) if of_run else None
    whole = asked.settings_of(settings, folder)
    if settings.runtime is not None:
        timed_runs.check_timing(settings, folder, whole)
    if settings.choose_temperature is not None:
        whole = temperature.settings_to_choose(settings, folder, whole)
    if settings.task is not None:
        whole = edit_settings.settings_to_edit(settings, folder, whole)
    check_optimized(settings.optimized_metric, whole, of_edits=settings.task is not None)
    if isinstance(whole, TrainConf):  # of a run
        check_decoder(decoder_of(whole)[0], whole)
    return whole, folder


def prepare(settings: EvaluateConf) -> Prepared:
    """What is evaluated and how, once everything is checked that can be before a process is started."""
    whole, folder = check(settings)
    check_hardware(whole.trainer)
    check_extractors(whole)
    edit_settings.check_lpips(settings.editing.lpips_weights)
    check_loggers(whole.logger)
    if settings.runtime is not None:  # which needs no images
        return Prepared(replace(begin(whole), home=folder), None, None)
    is_trained = folder is None or folder.is_done("transformer")
    data = None
    needs_data = asked.needs_data(whole) or not is_trained or settings.task is not None
    if (folder is not None and needs_data) or settings.data:
        data = list_images(whole)
    if folder is not None and data is not None:
        asked.check_classes(folder, data)
    if data is not None:
        check_classifiers(whole, data)
    real = real_images(whole.eval.reference, data) if is_trained else None
    if folder is not None and real is not None and settings.task is None:
        asked.check_evaluation(whole, data, real, folder.data.size)
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
        elif settings.task is not None and data is not None and real is not None and place is not None:
            rows = evaluate(command, edit_plan.plan_edits(command, settings, data, real, place), overrides)
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
    place = _place_of_rows(settings, run)
    if settings.save and place is not None:
        check_kept(place)
    return place


def _place_of_rows(settings: EvaluateConf, run: Run[CommonConf]) -> Path | None:
    if settings.runtime is not None:
        return timed_runs.place_of_timing(run.folder)
    if settings.choose_temperature is not None:
        return temperature.place_of_choice(run.folder)
    if settings.out is None and settings.task is not None:
        return edit_settings.place_of_edits(run.folder)
    if settings.out is None:
        return run.home.path if run.home is not None else None
    out = Path(settings.out)
    if ranks.is_main():
        results_folder(out)
    ranks.barrier()
    return out


def _held(settings: EvaluateConf, place: Path | None) -> AbstractContextManager[None]:
    if place is None or not ranks.is_main():
        return nullcontext()
    return held(place, "out" if settings.out else "checkpoint", settings.wait)
