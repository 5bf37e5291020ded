"""`train.py`: the whole main job, or one stage of it."""

from __future__ import annotations

from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from maskgit_lab import config
from maskgit_lab.ablation import results
from maskgit_lab.commands import pictures, stages
from maskgit_lab.commands.evaluation import evaluate
from maskgit_lab.commands.generation import Sampler
from maskgit_lab.commands.job import Job, build, decode_schedule, device_of
from maskgit_lab.commands.run_folder import RunFolder, open_run, run_name
from maskgit_lab.console import Terminal
from maskgit_lab.lit.logger import finish, wandb_logger
from maskgit_lab.store import Store

PARTS = {
    "tokenizer": ("tokenizer",),
    "mvtm": ("tokenizer", "tokens", "mvtm"),
    "all": ("tokenizer", "tokens", "mvtm", "evaluation", "pictures"),
}


def run(cfg: DictConfig) -> None:
    """Trains, evaluates and draws what the config asks for, going on from whatever is there."""
    config.check_train(cfg)
    device_of(cfg.trainer.accelerator)
    decode_schedule(cfg, cfg.decode.schedule)
    if cfg.trainer.threads is not None:
        torch.set_num_threads(cfg.trainer.threads)
    overrides = list(HydraConfig.get().overrides.task)
    terminal = Terminal()
    with open_run(cfg, overrides) as folder:
        terminal.say(f"{'run':<10} {folder.path}")
        if folder.is_done(PARTS[cfg.stage]):
            _say_what_is_reused(folder, terminal)
            terminal.say(f"{'complete':<10} the run is complete: there is nothing to do")
        else:
            _work(cfg, overrides, folder, terminal)
        _summarise(folder, terminal)


def _work(cfg: DictConfig, overrides: list[str], folder: RunFolder, terminal: Terminal) -> None:
    data = build(cfg.data, "data")
    logger = wandb_logger(
        **config.plain(cfg.logger),
        name=run_name(overrides),
        job_type="train",
        run_id=folder.record["wandb_id"],
        folder=folder.path,
        config=config.plain(cfg),
        say=lambda line: terminal.say(f"{'wandb':<10} {line}"),
    )
    store = Store(Path(cfg.cache_dir), lambda line: terminal.say(f"{'cache':<10} {line}"))
    try:
        _run_stages(Job(cfg, folder, terminal, store, logger, data))
    finally:
        finish(logger)


def _run_stages(job: Job) -> None:
    cfg = job.cfg
    tokenizer = stages.obtain_tokenizer(job)
    pictures.draw_reconstructions(job, tokenizer, device_of(cfg.trainer.accelerator))
    if cfg.stage == "tokenizer":
        return
    cache = stages.obtain_tokens(job, tokenizer)
    model = stages.obtain_transformer(job, cache, tokenizer.codebook_size)
    if cfg.stage == "mvtm":
        return
    schedule = decode_schedule(cfg, cfg.decode.schedule)
    sampler = Sampler(model, tokenizer, cache.grid, schedule, cfg.decode.choice_temperature, cfg.eval.batch_size)
    evaluate(job, sampler, cache)
    job.run.mark_done("evaluation")
    pictures.draw_run(job, sampler)
    job.run.mark_done("pictures")


def _say_what_is_reused(folder: RunFolder, terminal: Terminal) -> None:
    for part in ("tokenizer", "tokens", "classifier"):
        if path := folder.record["done"].get(part, {}).get("path"):
            there = "reused" if Path(path).exists() else "no longer in the cache, and not needed"
            terminal.reused(part, f"{there}: {path}")


def _summarise(folder: RunFolder, terminal: Terminal) -> None:
    if rows := folder.results.rows():
        terminal.table("Quality over the number of decoding steps T", *results.table(rows))
        if "cas_real_top1" in rows[0]:
            terminal.say(f"The CAS of real data is {rows[0]['cas_real_top1']:.3f}.")
    for path in folder.pictures().values():
        terminal.say(f"{'picture':<10} {path}")
