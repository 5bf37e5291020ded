"""`evaluate.py`: every metric of a trained model, or of any images."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from maskgit_lab import config, ranks
from maskgit_lab.ablation import results
from maskgit_lab.commands.checks import check_evaluate
from maskgit_lab.commands.evaluation import plan_evaluation, say_results
from maskgit_lab.commands.extracting import measure_reconstruction, obtain_extractor
from maskgit_lab.commands.free_folder import results_folder
from maskgit_lab.commands.job import Bench, Job, as_object, by_main
from maskgit_lab.commands.launch import in_processes, main_terminal, overrides
from maskgit_lab.commands.loose_samples import score_samples
from maskgit_lab.commands.points import Subject
from maskgit_lab.commands.referencing import SPLITS, RealImages, real_images
from maskgit_lab.commands.rehearsal import check_extractors
from maskgit_lab.commands.resolving import resolved
from maskgit_lab.commands.run_folder import RunFolder, held, read_config, read_run, run_name
from maskgit_lab.commands.sourcing import leave_out_unreadable, list_images
from maskgit_lab.commands.subjects import subject_of_files, subject_of_run, with_reconstruction
from maskgit_lab.commands.tokenizing import load_tokenizer
from maskgit_lab.commands.trained import recorded_data, tokenizer_file
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.lit.logger import RunLogger, curve_settings, finishing, in_wandb_sweep, wandb_logger
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.settings import Hardware
from maskgit_lab.store import Store, open_sound


@dataclass(frozen=True)
class _Prepared:
    """What is known before anything is computed."""

    cfg: DictConfig  # of train.py, with evaluate.py's settings in it
    run: RunFolder | None
    data: ImageData | None
    real: RealImages | None  # None for a run that has no transformer yet


def run(cfg: DictConfig) -> None:
    """Evaluates `checkpoint` or `samples`; with several devices each process samples and measures its share."""
    check_evaluate(cfg)
    hardware = as_object(resolved(cfg, None).trainer, Hardware)
    in_processes(hardware, lambda: _prepare(cfg), lambda prepared: _run(cfg, prepared))


def _prepare(cfg: DictConfig) -> _Prepared:
    checkpoint = None if cfg.checkpoint is None else Path(cfg.checkpoint).expanduser()
    is_run = checkpoint is not None and (checkpoint.is_dir() or not checkpoint.suffix)
    if is_run and cfg.tokenizer.get("weights") is not None:
        raise UserError(f"{checkpoint} is a run with a tokenizer of its own: leave tokenizer.weights out")
    run = read_run(checkpoint) if is_run and checkpoint is not None else None
    whole = resolved(cfg, read_config(run.path) if run is not None else None)
    check_extractors(whole)
    if whole.features.name == "classifier" and run is None and whole.get("classifier") is None:
        raise UserError("features=classifier needs to know which: add classifier=small")
    needs_data = run is not None and (_samples_need_data(whole) or not run.is_done(["mvtm"]))
    data = list_images(whole) if needs_data or cfg.data is not None else None
    if run is not None and data is not None and data.n_classes != recorded_data(run).n_classes:
        raise UserError(
            f"the data have {data.n_classes} classes and the run was trained on {recorded_data(run).n_classes}: give "
            "the images that it was trained on"
        )
    if cfg.samples is None and run is None:
        _check_file_settings(cfg)
    has_samples = run is None or run.is_done(["mvtm"])
    return _Prepared(whole, run, data, real_images(whole.eval.reference, data) if has_samples else None)


def _check_file_settings(cfg: DictConfig) -> None:
    for key, value in (("out", cfg.out), ("decode.steps", cfg.decode.steps), ("reference", cfg.reference)):
        if value is None:
            raise UserError(f"{key} is needed, since {cfg.checkpoint} is a file and no run: give {key}=VALUE")


def _samples_need_data(cfg: DictConfig) -> bool:
    wants_cas = "cas" in cfg.eval.metrics and cfg.cas is not None
    of_data = cfg.eval.reference in SPLITS or cfg.features.name == "classifier"
    return of_data or wants_cas or cfg.eval.n_samples is None


def _run(cfg: DictConfig, prepared: _Prepared) -> None:
    terminal = main_terminal()
    store = Store(Path(cfg.cache_dir).resolve(), lambda line: terminal.note("cache", line))
    whole, data, real = prepared.cfg, prepared.data, prepared.real
    if data is not None:
        data = leave_out_unreadable(whole, data, store, terminal)
    if real is not None and data is not prepared.data:  # the reference may be a split that lost images
        real = real_images(whole.eval.reference, data)
    bench = Bench(cfg=whole, terminal=terminal, store=store, data=data)
    if cfg.samples is not None:
        assert real is not None
        score_samples(cfg, bench, real)
        return
    if prepared.run is not None:
        place = _place(cfg, prepared.run)
        with held(place, "out" if cfg.out else "checkpoint", cfg.wait) if ranks.is_main() else nullcontext():
            _evaluate_run(cfg, bench, prepared.run, real, place)
        return
    assert real is not None
    subject = subject_of_files(whole, Path(cfg.checkpoint), cfg.tokenizer.get("weights"), Path(cfg.out).expanduser())
    place = _place(cfg, None)
    with held(place, "out", cfg.wait) if ranks.is_main() else nullcontext():
        _evaluate(cfg, bench, subject, _extractor(bench), real, {})


def _place(cfg: DictConfig, run: RunFolder | None) -> Path:
    """The folder of the results, made if it is absent."""
    if not cfg.out:
        assert run is not None
        return run.path
    if ranks.is_main():
        results_folder(Path(cfg.out))
    ranks.barrier()
    return Path(cfg.out).expanduser()


def _evaluate_run(cfg: DictConfig, bench: Bench, run: RunFolder, real: RealImages | None, place: Path) -> None:
    if bench.data is not None:
        _check_same_data(run, bench.data)
    extractor = _extractor(bench)
    if real is None:
        _measure_tokenizer(bench, run, extractor)
        return
    subject = replace(subject_of_run(bench.cfg, run, _codes(bench.cfg, run)), place=place)
    if bench.data is not None:
        subject = with_reconstruction(subject, _job(bench, run, bench.data), extractor)
    _evaluate(cfg, bench, subject, extractor, real, {"run": run.record["fingerprint"]})


def _measure_tokenizer(bench: Bench, run: RunFolder, extractor: FeatureExtractor) -> None:
    """What can be said of a run that has no transformer yet."""
    if "mvtm" in run.record["done"]:
        raise UserError(f"the checkpoint {run.checkpoint} is gone: give the train.py command of the run again")
    if "tokenizer" not in run.record["done"]:
        raise UserError(f"the run in {run.path} has trained nothing yet: give its train.py command again")
    tokenizer = load_tokenizer(bench.cfg, tokenizer_file(run))
    job = _job(bench, run, bench.need_data("a tokenizer"))
    scores = by_main(job, lambda alone: dict(measure_reconstruction(alone, tokenizer, extractor)))
    told = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
    bench.terminal.note("tokenizer", f"{told}; the run has no transformer yet")


def _job(bench: Bench, run: RunFolder, data: ImageData) -> Job:
    return Job(
        cfg=bench.cfg,
        run=run,
        terminal=bench.terminal,
        store=bench.store,
        logger=None,
        data=data,
        known=bench.known,
    )


def _evaluate(
    cfg: DictConfig,
    bench: Bench,
    subject: Subject,
    extractor: FeatureExtractor,
    real: RealImages,
    of: Mapping[str, Any],
) -> None:
    evaluation = plan_evaluation(bench, subject, extractor, real, list(cfg.save))
    has_news = bool(evaluation.missing) or in_wandb_sweep()
    told = {**of, **curve_settings(evaluation.shared)}
    logger = _logger(bench, subject.place, told) if has_news and ranks.is_main() else None
    with finishing(logger):
        evaluation.carry_out(logger)
    rows = {results.identity(row): row for row in subject.results.rows()}
    say_results(bench.terminal, [rows[point] for point in evaluation.points if point in rows])
    bench.terminal.note("results", str(subject.results.path))


def _extractor(bench: Bench) -> FeatureExtractor:
    return obtain_extractor(bench, bench.cfg.features.name, bench.cfg.features.weights)


def _logger(bench: Bench, place: Path, of: Mapping[str, Any]) -> RunLogger | None:
    told = overrides()
    return wandb_logger(
        **config.plain(bench.cfg.logger),
        name=run_name(told),
        job_type="evaluate",
        id=fingerprint({"evaluate": told, **of}),
        folder=place,
        config={"overrides": told, **of},
        say=lambda line: bench.terminal.note("wandb", line),
    )


def _check_same_data(run: RunFolder, data: ImageData) -> None:
    recorded = recorded_data(run)
    if data.fingerprint != recorded.fingerprint:
        raise UserError(
            f"the images of {data.name} are not those that the run in {run.path} was trained on: give the same with "
            "data= and its settings, or compare with others by reference=FOLDER_OR_NPZ"
        )


def _codes(cfg: DictConfig, run: RunFolder) -> TokenCache | None:
    """The codes of the run, if they are needed and still in the cache."""
    folder = Path(run.record["done"]["tokens"]["path"])
    if "nll" not in cfg.eval.metrics or not folder.is_dir():
        return None
    open_sound(folder)
    return TokenCache.open(folder)
