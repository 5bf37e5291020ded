"""`train.py`: the whole main job, or one stage of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from maskgit_lab import config, ranks
from maskgit_lab.ablation import results
from maskgit_lab.commands import pictures
from maskgit_lab.commands.caching import obtain_tokens
from maskgit_lab.commands.checks import check_train
from maskgit_lab.commands.evaluation import plan_evaluation, say_results
from maskgit_lab.commands.extracting import measure_reconstruction, obtain_extractor
from maskgit_lab.commands.job import Job, as_object, build, by_main
from maskgit_lab.commands.launch import in_processes, main_terminal, overrides
from maskgit_lab.commands.modelling import ensure_transformer
from maskgit_lab.commands.referencing import real_images
from maskgit_lab.commands.rehearsal import rehearse
from maskgit_lab.commands.run_folder import RunFolder, open_run, run_name
from maskgit_lab.commands.sourcing import leave_out_unreadable, list_images
from maskgit_lab.commands.subjects import subject_of_run, with_reconstruction
from maskgit_lab.commands.tokenizing import obtain_tokenizer
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.lit.logger import curve_settings, finishing, in_wandb_sweep, log_scores, wandb_logger
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.settings import Hardware
from maskgit_lab.store import Store


def run(cfg: DictConfig) -> None:
    """Trains, evaluates and draws what the config asks for, going on from whatever is there.

    With several devices this process starts one for each, and every one of them does all of this.
    """
    check_train(cfg)
    in_processes(as_object(cfg.trainer, Hardware), lambda: _prepare(cfg), lambda data: _run(cfg, data))


def _prepare(cfg: DictConfig) -> ImageData:
    data = list_images(cfg)
    rehearse(cfg, data)
    return data


def _run(cfg: DictConfig, data: ImageData) -> None:
    terminal = main_terminal()
    store = Store(Path(cfg.cache_dir).resolve(), lambda line: terminal.note("cache", line))
    data = leave_out_unreadable(cfg, data, store, terminal)
    with open_run(cfg, overrides()) as folder:
        terminal.note("run", str(folder.path))
        if ranks.share(folder.is_complete(cfg.stage)) and not in_wandb_sweep():
            _say_what_is_reused(folder, terminal)
            terminal.note("complete", "the run is complete: there is nothing to do")
        else:
            _work(cfg, data, folder, terminal, store)
        _summarise(folder, terminal)


def _work(cfg: DictConfig, data: ImageData, folder: RunFolder, terminal: Terminal, store: Store) -> None:
    logger = None
    if ranks.is_main():
        logger = wandb_logger(
            **config.plain(cfg.logger),
            name=run_name(overrides()),
            job_type="train",
            id=folder.record["wandb_id"],
            folder=folder.path,
            config=config.plain(cfg) | _curve_settings(cfg),
            say=lambda line: terminal.note("wandb", line),
        )
    with finishing(logger):
        _run_stages(Job(cfg=cfg, run=folder, terminal=terminal, store=store, logger=logger, data=data))


def _curve_settings(cfg: DictConfig) -> dict[str, Any]:
    trained = build(cfg.schedule, "schedule", Schedule).name  # type: ignore[type-abstract]
    decoded = cfg.decode.schedule or trained
    return curve_settings({**config.plain(cfg.decode), "schedule": trained, "decode_schedule": decoded})


def _run_stages(job: Job) -> None:
    stage = job.cfg.stage
    job.run.mark_done(
        "data",
        name=job.data.name,
        size=job.data.size,
        class_names=list(job.data.class_names),
        fingerprint=job.data.fingerprint,
    )
    tokenizer = obtain_tokenizer(job)
    cache = obtain_tokens(job, tokenizer) if stage != "tokenizer" else None
    if cache is not None and stage != "tokens":
        ensure_transformer(job, cache)
    if stage in ("tokens", "mvtm"):
        return
    extractor = obtain_extractor(job, job.cfg.features.name, job.cfg.features.weights)
    for classifier in job.known.values():
        job.run.mark_done("classifier", path=str(classifier.path), top1=classifier.top1, top5=classifier.top5)
    scores = by_main(job, lambda alone: measure_reconstruction(alone, tokenizer, extractor))
    job.run.mark_done("reconstruction", **scores)
    if ranks.is_main():
        log_scores(job.logger, "tokenizer", scores)
        pictures.draw_reconstructions(job, tokenizer)
    if cache is not None:
        _evaluate(job, cache, extractor)


def _evaluate(job: Job, cache: TokenCache, extractor: FeatureExtractor) -> None:
    subject = with_reconstruction(subject_of_run(job.cfg, job.run, cache), job, extractor)
    evaluation = plan_evaluation(job, subject, extractor, real_images(job.cfg.eval.reference, job.data))
    evaluation.carry_out(job.logger)
    job.run.mark_done("evaluation", points=evaluation.points)
    if ranks.is_main():
        pictures.draw_run(job, subject.sampler, evaluation.points)
    job.run.mark_done("pictures")


def _say_what_is_reused(folder: RunFolder, terminal: Terminal) -> None:
    for part in ("tokenizer", "tokens", "classifier"):
        if path := folder.record["done"].get(part, {}).get("path"):
            there = "reused" if Path(path).exists() else "no longer in the cache, and not needed"
            terminal.note(part, f"{there}: {path}")


def _summarise(folder: RunFolder, terminal: Terminal) -> None:
    points = folder.record["done"].get("evaluation", {}).get("points", [])
    say_results(terminal, [row for row in folder.results.rows() if results.identity(row) in points])
    for path in folder.pictures().values():
        terminal.note("picture", str(path))
