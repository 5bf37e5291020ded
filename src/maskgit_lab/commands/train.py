"""`train.py`: the whole main job, or one stage of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from maskgit_lab import ranks
from maskgit_lab.code import Code
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation import pictures
from maskgit_lab.evaluation.asked import check_evaluation
from maskgit_lab.evaluation.code import asked_for, known_code
from maskgit_lab.evaluation.curve import show
from maskgit_lab.evaluation.loggers import owes_training, training_logger
from maskgit_lab.evaluation.optimized import check_optimized, show_optimized
from maskgit_lab.evaluation.planning import curve_over_steps, floors_alone
from maskgit_lab.evaluation.reconstruction import load_or_measure_reconstruction
from maskgit_lab.evaluation.reference import real_images
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.lit.loggers.group import check_loggers
from maskgit_lab.lit.loggers.wandb import in_wandb_sweep
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.runs.opening import Wanted, opened
from maskgit_lab.runs.record import ClassifierRecord
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.run import Run, begin
from maskgit_lab.sampling.loading import open_run
from maskgit_lab.settings import AUTOREGRESSIVE, MASKGIT, TrainConf
from maskgit_lab.stages.autoregressive import train_autoregressive
from maskgit_lab.stages.features import check_extractors, load_or_train_extractor
from maskgit_lab.stages.images import list_images, readable, record_images
from maskgit_lab.stages.mvtm import train_mvtm
from maskgit_lab.stages.preflight import preflight
from maskgit_lab.stages.tokenizer import load_or_train_tokenizer
from maskgit_lab.stages.tokens import load_or_encode_tokens
from maskgit_lab.tokenizers.base import Tokenizer

TRAIN = {MASKGIT: train_mvtm, AUTOREGRESSIVE: train_autoregressive}


def prepare(settings: TrainConf) -> ImageData:
    """The images, once everything is checked that can be before a process is started or anything is computed."""
    data = list_images(settings)
    preflight(settings, data)
    check_loggers(settings.logger)
    if settings.stage in ("tokenizer", "all"):
        check_extractors(settings)
        check_evaluation(settings, data, real_images(settings.eval.reference, data), data.size)
    if settings.stage == "all":
        check_optimized(settings.optimized_metric, settings)
    elif settings.optimized_metric is not None:
        raise UserError("optimized_metric needs an evaluation: leave stage out")
    return data


def run(settings: TrainConf, overrides: Sequence[str], data: ImageData) -> float | None:
    """Trains, evaluates and draws what the settings ask for, continuing from whatever is there.

    With several devices every process does all of this.

    Returns:
        The best value of `optimized_metric`, if one is named.
    """
    command = begin(settings)
    data = readable(command, data)
    trains, measures = known_code(command)
    with opened(Wanted(settings, overrides, trains)) as folder:
        kept = command.kept_costs(folder.path)
        command = replace(command, home=folder, asked=asked_for(settings), costs=kept)
        command.console.note("run", str(folder.path))
        is_complete = ranks.share(folder.is_complete(settings.stage, command.asked, measures))
        if is_complete and not (in_wandb_sweep() or owes_training(command, overrides)):
            _show_what_is_reused(command)
        else:
            with training_logger(command, overrides) as logger:
                logged = replace(command, logger=logger)
                with logged.costs.stage("evaluation"):  # but for what belongs to another stage
                    train(logged, data)
                logged.log_costs()
        rows = _show_results(command, measures)
        command.show_costs()
        return show_optimized(command.console, settings.optimized_metric, rows)


def train(run: Run[TrainConf], data: ImageData) -> None:
    """The stages, one after the other."""
    stage = run.settings.stage
    record_images(run, data)
    with run.costs.stage("tokenizer"):
        tokenizer = load_or_train_tokenizer(run, data)
    codes = None
    if stage != "tokenizer":
        with run.costs.stage("tokens"):
            codes = load_or_encode_tokens(run, data, tokenizer)
    if codes is not None and stage != "tokens":
        with run.costs.stage("transformer"):
            TRAIN[run.settings.model](run, codes, tokenizer)
    if stage in ("tokenizer", "all"):
        measure(run, data, tokenizer, codes)


def measure(run: Run[TrainConf], data: ImageData, tokenizer: Tokenizer, codes: TokenCache | None) -> None:
    """What is measured of a run: of its tokenizer alone, where there are no codes."""
    extractor = load_or_train_extractor(run, data, run.settings.features.name, run.settings.features.weights)
    for classifier in run.memory.values():
        path = run.folder.recorded(classifier.path)
        run.mark(classifier=ClassifierRecord(path, classifier.top1, classifier.top5))
    run.mark(reconstruction=load_or_measure_reconstruction(run, data, tokenizer))
    run.logger.scores("tokenizer", run.record.reconstruction or {})
    if ranks.is_main():
        pictures.draw_reconstructions(run, data, tokenizer)
    if codes is not None:
        evaluate(run, data, codes, extractor)
    else:
        floors = floors_alone(run, data, tokenizer, extractor)
        floors.carry_out()
        _mark_measured(run, floors.points)


def evaluate(run: Run[TrainConf], data: ImageData, codes: TokenCache, extractor: FeatureExtractor) -> None:
    """The curve over T and the pictures of the run."""
    trained = open_run(run.folder, run.settings, run.device)
    curve = curve_over_steps(run, data, trained, codes, extractor)
    rows = curve.carry_out()
    _mark_measured(run, curve.points)
    if ranks.is_main():
        pictures.draw_run(run, trained.pipeline, rows)
    run.mark(pictures=f"{run.asked} {fingerprint(curve.origin.code)}")


def _mark_measured(run: Run[TrainConf], points: list[str]) -> None:
    run.mark(measured={**run.record.measured, run.asked: points})


def _show_what_is_reused(run: Run[TrainConf]) -> None:
    for part in ("tokenizer", "tokens", "classifier"):
        if (made := getattr(run.record, part)) is not None:
            path = run.folder.place(made.path)
            there = "reused" if path.exists() else "no longer in the cache, and not needed"
            run.console.note(part, f"{there}: {path}")
    run.console.note("complete", "the run is complete: there is nothing to do")


def _show_results(run: Run[TrainConf], measures: Code) -> list[Row]:
    """Shows the rows that the settings ask for, and returns them."""
    rows = run.folder.results.of(fingerprint(measures), run.record.code)
    shown: list[Row] = [rows[point] for point in run.record.measured.get(run.asked, []) if point in rows]
    show(run.console, shown)
    for path in run.folder.pictures().values():
        run.console.note("picture", str(path))
    return shown
