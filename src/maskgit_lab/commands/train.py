"""`train.py`: the whole main job, or one stage of it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from maskgit_lab import config, ranks
from maskgit_lab.ablation import results
from maskgit_lab.commands import pictures
from maskgit_lab.commands.caching import obtain_tokens
from maskgit_lab.commands.checks import check_train
from maskgit_lab.commands.evaluation import evaluate
from maskgit_lab.commands.extracting import measure_reconstruction, obtain_extractor
from maskgit_lab.commands.generation import Sampler
from maskgit_lab.commands.job import Job, as_object, decode_schedule
from maskgit_lab.commands.modelling import ensure_transformer, load_transformer
from maskgit_lab.commands.rehearsal import rehearse
from maskgit_lab.commands.run_folder import RunFolder, open_run, run_name
from maskgit_lab.commands.sourcing import leave_out_unreadable, list_images
from maskgit_lab.commands.tokenizing import obtain_tokenizer
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.lit import processes
from maskgit_lab.lit.logger import finishing, log_scores, wandb_logger
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.settings import Hardware
from maskgit_lab.store import Store
from maskgit_lab.tokenizers.base import Tokenizer

PARTS = {
    "tokenizer": ("tokenizer", "reconstruction"),
    "tokens": ("tokenizer", "tokens"),
    "mvtm": ("tokenizer", "tokens", "mvtm"),
    "all": ("tokenizer", "tokens", "mvtm", "reconstruction", "evaluation", "pictures"),
}


def run(cfg: DictConfig) -> None:
    """Trains, evaluates and draws what the config asks for, going on from whatever is there.

    With several devices this process starts one for each, and every one of them does all of this.
    """
    check_train(cfg)
    hardware = as_object(cfg.trainer, Hardware)
    if here := processes.is_started(hardware):
        processes.connect(hardware)
    data = list_images(cfg)
    rehearse(cfg, data)
    if not here:
        if code := processes.start(*_this_command(), hardware.devices):
            sys.exit(code)
        return
    if cfg.trainer.threads is not None:
        torch.set_num_threads(cfg.trainer.threads)
    overrides = list(HydraConfig.get().overrides.task)
    terminal = Terminal(Console(quiet=True) if not ranks.is_main() else None)
    store = Store(Path(cfg.cache_dir).resolve(), lambda line: terminal.note("cache", line))
    data = leave_out_unreadable(cfg, data, store, terminal)
    with open_run(cfg, overrides) as folder:
        terminal.note("run", str(folder.path))
        if ranks.share(folder.is_done(PARTS[cfg.stage])):
            _say_what_is_reused(folder, terminal)
            terminal.note("complete", "the run is complete: there is nothing to do")
        else:
            _work(cfg, data, overrides, folder, terminal, store)
        _summarise(folder, terminal)


def _this_command() -> tuple[Path, list[str]]:
    """The script and the overrides of this job, which in a multirun are not those of the command line."""
    hydra = HydraConfig.get()
    conf = next(source.path for source in hydra.runtime.config_sources if source.provider == "main")
    return Path(conf).parent / f"{hydra.job.name}.py", list(hydra.overrides.task)


def _work(
    cfg: DictConfig, data: ImageData, overrides: list[str], folder: RunFolder, terminal: Terminal, store: Store
) -> None:
    logger = None
    if ranks.is_main():
        logger = wandb_logger(
            **config.plain(cfg.logger),
            name=run_name(overrides),
            job_type="train",
            id=folder.record["wandb_id"],
            folder=folder.path,
            config=config.plain(cfg),
            say=lambda line: terminal.note("wandb", line),
        )
    with finishing(logger):
        _run_stages(Job(cfg, folder, terminal, store, logger, data))


def _run_stages(job: Job) -> None:
    """First what all processes do together, then what the main one does alone."""
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
    if not processes.part() or stage in ("tokens", "mvtm"):
        return
    job = job.alone()
    extractor = obtain_extractor(job)
    log_scores(job.logger, "tokenizer", measure_reconstruction(job, tokenizer, extractor))
    pictures.draw_reconstructions(job, tokenizer)
    if cache is not None:
        _evaluate(job, tokenizer, cache, extractor)


def _evaluate(job: Job, tokenizer: Tokenizer, cache: TokenCache, extractor: FeatureExtractor) -> None:
    cfg = job.cfg
    sampler = Sampler(
        load_transformer(cfg, job.run, job.data),
        tokenizer,
        cache.grid,
        decode_schedule(cfg, cfg.decode.schedule),
        cfg.decode.choice_temperature,
        cfg.eval.batch_size,
        cfg.decode.guidance,
    )
    evaluate(job, sampler, cache, extractor)
    job.run.mark_done("evaluation", steps=list(cfg.eval.steps))
    pictures.draw_run(job, sampler)
    job.run.mark_done("pictures")


def _say_what_is_reused(folder: RunFolder, terminal: Terminal) -> None:
    for part in ("tokenizer", "tokens", "classifier"):
        if path := folder.record["done"].get(part, {}).get("path"):
            there = "reused" if Path(path).exists() else "no longer in the cache, and not needed"
            terminal.note(part, f"{there}: {path}")


def _summarise(folder: RunFolder, terminal: Terminal) -> None:
    if rows := folder.results.rows():
        terminal.table("Quality over the number of decoding steps T", *results.table(rows))
        if "cas_real_top1" in rows[0]:
            terminal.say(f"A classifier trained on real images instead of samples has {rows[0]['cas_real_top1']:.3f}.")
    for path in folder.pictures().values():
        terminal.note("picture", str(path))
